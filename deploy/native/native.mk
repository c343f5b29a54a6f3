# The native stack: make up and its companions. Settings are given as variables: make up HTTP_PORT=8090.

STACK := deploy/native/stack

.PHONY: up up-build start down stop restart status flexi logs wipe env deps

up up-build start: deps ## install what is missing, build, start everything
	@$(MAKE) --no-print-directory -j"$$(nproc)" all
	@$(STACK) up

deps: ## install Debian packages and build Caddy, the embedded store and Mailpit, where missing
	@deploy/native/deps
	@deploy/native/tools

down stop: ## stop everything; the data stay
	@$(STACK) down

restart: ## stop and start, with what is built; one part or handler with NAME=listener
	@$(STACK) restart $(NAME)

status: ## what runs, since when, what is unwell
	@$(STACK) status

flexi: ## flexi with the running stack's settings: make flexi ARGS="dead logs"
	@$(STACK) flexi $(ARGS)

logs: ## follow the logs; of one part or handler with NAME=broker
	@$(STACK) logs $(NAME)

wipe: ## delete the stack's data and handlers (asks first; YES=1 does not)
	@$(STACK) wipe

env: ## the running stack's settings as shell assignments
	@$(STACK) env
