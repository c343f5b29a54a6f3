/* migrate_admin: the first user, and that nobody comes in by the development seed. */
#include <string.h>

#include "store/migrate.h"
#include "store/password.h"
#include "store/postgres.h"
#include "store/users.h"

enum { MAX_EMAIL_BYTES = 254 };

/* Whom sql/seed/dev makes. */
static const char development_email[] = "admin@example.com";

/* One @ with something on both sides, and no byte that an address never has. */
static bool is_address(struct text email)
{
	const char *at = memchr(email.s, '@', email.n);
	if (!at || at == email.s || at + 1 == email.s + email.n || email.n > MAX_EMAIL_BYTES)
		return false;
	for (size_t i = 0; i < email.n; i++) {
		unsigned char c = (unsigned char)email.s[i];
		if (c <= ' ' || c == 0x7f || (c == '@' && email.s + i != at))
			return false;
	}
	return true;
}

enum error_code migrate_admin_check(const struct migration *m, struct error *e)
{
	struct text email = text_of(m->admin_email);
	struct text password = text_of(m->admin_password);
	if (email.n == 0 && password.n > 0)
		return error_set(e, ERROR_CONFIG, "ADMIN_PASSWORD: is set, and ADMIN_EMAIL is not");
	if (email.n > 0 && !is_address(email))
		return error_set(e, ERROR_CONFIG, "ADMIN_EMAIL: not an address");
	const char *weakness = password.n > 0 ? password_weakness(password) : NULL;
	if (weakness)
		return error_set(e, ERROR_CONFIG, "ADMIN_PASSWORD: %s", weakness);
	return ERROR_NONE;
}

static enum error_code refuse_development_user(struct error *e)
{
	CLEANUP(user_finish) struct user user = { 0 };
	enum error_code code = users_by_email(text_of(development_email), &user, e);
	if (code == ERROR_NOT_FOUND)
		return ERROR_NONE;
	if (code || !password_matches(text_of(DEVELOPMENT_PASSWORD), user.password))
		return code;
	return error_set(e, ERROR_CONFIG,
			 "users: %s has the development password, which everybody knows: delete "
			 "that user or give it another, or set SEED on a developer's machine",
			 development_email);
}

enum error_code migrate_admin(const struct migration *m, struct error *e)
{
	struct text email = text_of(m->admin_email);
	struct text password = text_of(m->admin_password);
	enum error_code code = *m->seed ? ERROR_NONE : refuse_development_user(e);
	if (code || email.n == 0)
		return code;
	CLEANUP(user_finish) struct user present = { 0 };
	code = users_by_email(email, &present, e);
	if (code != ERROR_NOT_FOUND)
		return code;
	if (password.n == 0)
		return error_set(e, ERROR_CONFIG,
				 "ADMIN_PASSWORD: is not set, and there is no user %s yet",
				 email.s);
	int64_t id = 0;
	const struct user user = { .email = (char *)(uintptr_t)email.s,
				   .first_name = (char *)(uintptr_t) "Admin",
				   .active = true };
	code = users_insert(&user, password, &id, e);
	if (!code)
		migrate_report(m, "created user %s", email.s);
	return code;
}
