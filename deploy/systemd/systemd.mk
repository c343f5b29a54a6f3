# A plain server: make install, and systemd runs it. docs/systemd.md.

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
INSTALL_ENV = BUILD='$(BUILD)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' CADDY='$(CADDY)' \
	VERSION='$(VERSION)' PACKAGES='$(PACKAGES)'

.PHONY: install uninstall

install: ## install what is built, with systemd's units, into PREFIX (/usr/local); DESTDIR, SYSCONFDIR, CADDY=PATH
	@$(INSTALL_ENV) deploy/systemd/install install

uninstall: ## remove that again; data and edited settings stay
	@$(INSTALL_ENV) deploy/systemd/install uninstall
