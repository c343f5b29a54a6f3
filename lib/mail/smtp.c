/* smtp: one mail over one kept connection, and what the server's replies mean. */
#include "mail/smtp.h"

#include <curl/curl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/log.h"

enum {
	MAX_REPLY_BYTES = 160, /* of a refusal, as it is passed on */
	MAX_NAMES_BYTES = 120, /* of the addresses in a sentence */
	QUIT_REPLY_TIMEOUT_S = 1,
};

/* What the last command was about, and how the log calls it. */
enum stage { STAGE_CONNECT, STAGE_LOGIN, STAGE_SENDER, STAGE_RECIPIENT, STAGE_MESSAGE };

static const char *const stages[] = { "connect", "login", "sender", "recipient", "message" };

static const struct {
	const char *word;
	enum stage stage;
} commands[] = {
	{ "AUTH ", STAGE_LOGIN },
	{ "MAIL ", STAGE_SENDER },
	{ "RCPT ", STAGE_RECIPIENT },
	{ "DATA\r", STAGE_MESSAGE },
};

/* One try to send one message. */
struct attempt {
	const struct smtp_server *server;
	struct text message;
	size_t given; /* bytes of it that libcurl has taken */
	bool ready;   /* there is a connection, and the login is done */
	enum stage stage;
	size_t recipients;		 /* that RCPT has named so far */
	size_t noted;			 /* the last of them that note_recipient has looked at */
	int refusal;			 /* code of the first reply >= 400 to the last command */
	bool unfinished;		 /* that reply has more lines */
	char reply[MAX_REPLY_BYTES + 1]; /* its text, or of the last; printable ASCII */
	const struct smtp_envelope *envelope;
	struct {
		size_t count, named;
		char names[MAX_NAMES_BYTES + 1];
		int code; /* of the first, or of the first that is for good */
		char reply[MAX_REPLY_BYTES + 1];
	} refused;		      /* recipients */
	char reason[CURL_ERROR_SIZE]; /* libcurl's own words, for the log */
};

/* The kept connection, and whether its server has accepted our login. */
static CURL *kept;
static bool logged_in;

static void append_reply(struct attempt *a, const char *text, size_t n)
{
	size_t size = strlen(a->reply);
	if (size > 0 && size < MAX_REPLY_BYTES)
		a->reply[size++] = ' ';
	for (size_t i = 0; i < n && size < MAX_REPLY_BYTES; i++)
		a->reply[size++] = g_ascii_isprint(text[i]) ? text[i] : '?';
	a->reply[size] = '\0';
}

static void heard(struct attempt *a, const char *line, size_t n)
{
	while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	if (n < 3 || !g_ascii_isdigit(line[0]) || !g_ascii_isdigit(line[1]) ||
	    !g_ascii_isdigit(line[2]))
		return;
	int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
	if (code == 220 || code == 235) /* a greeting, a login accepted */
		logged_in = code == 235;
	bool taken = code == 250 && a->stage == STAGE_MESSAGE;
	if ((code < 400 && !taken) || (a->refusal && !a->unfinished))
		return;
	a->refusal = taken ? 0 : code;
	a->unfinished = n > 3 && line[3] == '-';
	if (n > 4)
		append_reply(a, line + 4, n - 4);
}

/* Whether a 5xx is about how we speak and who we are, and not about the mail. */
static bool is_about_protocol(int code)
{
	static const int codes[] = { 500, 502, 503, 504, 530, 534, 535, 538 };
	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		if (codes[i] == code)
			return true;
	}
	return false;
}

/* Names a refused recipient, if there is room for it. */
static void add_name(struct attempt *a, const char *address)
{
	size_t size = strlen(a->refused.names);
	size_t room = sizeof(a->refused.names) - size;
	const char *separator = size > 0 ? ", " : "";
	/* One alone is cut rather than left out. */
	if (size > 0 && strlen(separator) + strlen(address) >= room)
		return;
	snprintf(a->refused.names + size, room, "%s%.*s", separator, (int)room - 1, address);
	a->refused.named++;
}

/* Takes note of what the last command came to, if it named a recipient and was refused. */
static void note_recipient(struct attempt *a)
{
	if (a->stage != STAGE_RECIPIENT || !a->refusal || a->noted == a->recipients)
		return;
	a->noted = a->recipients;
	const char *address = a->envelope->to[a->recipients - 1]->text;
	log_warning("recipient refused", LOG_TEXT("message_id", a->envelope->message_id),
		    LOG_TEXT("recipient", address), LOG_INT("code", a->refusal),
		    LOG_TEXT("reply", a->reply));
	a->refused.count++;
	add_name(a, address);
	if (a->refused.code == 0 || (a->refused.code < 500 && a->refusal >= 500)) {
		a->refused.code = a->refusal;
		memcpy(a->refused.reply, a->reply, sizeof(a->reply));
	}
}

static void said(CURL *curl, struct attempt *a, const char *command, size_t n)
{
	if (n >= 4 && memcmp(command, "QUIT", 4) == 0) {
		/* Nothing depends on the reply: the mail's time is not spent on it. */
		curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)QUIT_REPLY_TIMEOUT_S);
		return;
	}
	note_recipient(a);
	a->refusal = 0;
	a->unfinished = false;
	a->reply[0] = '\0';
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
		size_t length = strlen(commands[i].word);
		if (n < length || memcmp(command, commands[i].word, length) != 0)
			continue;
		a->stage = commands[i].stage;
		a->recipients += a->stage == STAGE_RECIPIENT;
	}
}

/* Follows the conversation, which libcurl tells to nobody else. */
static int overhear(CURL *curl, curl_infotype type, char *bytes, size_t n, void *data)
{
	struct attempt *a = data;
	if (type == CURLINFO_HEADER_OUT)
		said(curl, a, bytes, n);
	else if (type == CURLINFO_HEADER_IN)
		heard(a, bytes, n);
	return 0;
}

/* Called between login and MAIL: libcurl goes on without a login where none is offered. */
/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl gives the type */
static int on_ready(void *data, char *remote, char *local, int remote_port, int local_port)
{
	(void)remote, (void)local, (void)remote_port, (void)local_port;
	struct attempt *a = data;
	a->ready = !*a->server->username || logged_in;
	return a->ready ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static size_t give(char *room, size_t size, size_t count, void *data)
{
	struct attempt *a = data;
	/* Without a message's end nobody gets it, neither those that were accepted. */
	if (a->refused.count > 0)
		return CURL_READFUNC_ABORT;
	size_t left = a->message.n - a->given;
	size_t n = size * count < left ? size * count : left;
	memcpy(room, a->message.s + a->given, n);
	a->given += n;
	return n;
}

static bool set_mail(CURL *c, struct attempt *a, const char *from, struct curl_slist *to)
{
	unsigned failed = 0;
	failed |= curl_easy_setopt(c, CURLOPT_MAIL_FROM, from);
	failed |= curl_easy_setopt(c, CURLOPT_MAIL_RCPT, to);
	/* To hear about every recipient, and not only about the first that is refused. */
	failed |= curl_easy_setopt(c, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
	failed |= curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
	failed |= curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)a->message.n);
	failed |= curl_easy_setopt(c, CURLOPT_READFUNCTION, give);
	failed |= curl_easy_setopt(c, CURLOPT_READDATA, a);
	failed |= curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_ready);
	failed |= curl_easy_setopt(c, CURLOPT_PREREQDATA, a);
	failed |= curl_easy_setopt(c, CURLOPT_DEBUGFUNCTION, overhear);
	failed |= curl_easy_setopt(c, CURLOPT_DEBUGDATA, a);
	failed |= curl_easy_setopt(c, CURLOPT_VERBOSE, 1L);
	failed |= curl_easy_setopt(c, CURLOPT_ERRORBUFFER, a->reason);
	return !failed;
}

static enum error_code recipients_refused(const struct attempt *a, struct error *e)
{
	char more[32] = "";
	size_t unnamed = a->refused.count - a->refused.named;
	if (unnamed > 0)
		snprintf(more, sizeof(more), " and %zu more", unnamed);
	return error_set(e, a->refused.code < 500 ? ERROR_DEFERRED : ERROR_UNPROCESSABLE,
			 "to: the mail server refused %s%s: %d %s", a->refused.names, more,
			 a->refused.code, a->refused.reply);
}

static enum error_code refused(const struct attempt *a, struct error *e)
{
	int number = a->refused.count > 0 ? a->refused.code : a->refusal;
	bool about_mail = a->stage >= STAGE_SENDER && !is_about_protocol(number);
	enum error_code code = ERROR_PEER_ANSWER;
	if (a->refused.count > 0 && number < 600 && about_mail)
		return recipients_refused(a, e);
	/* A message that is refused for now must not hold up the mails of others. */
	if (number < 500)
		code = a->stage >= STAGE_RECIPIENT ? ERROR_DEFERRED : ERROR_PEER_DOWN;
	else if (number < 600 && about_mail)
		code = ERROR_UNPROCESSABLE;
	const char *reply = a->refused.count > 0 ? a->refused.reply : a->reply;
	if (a->stage == STAGE_LOGIN)
		return error_set(e, code, "the mail server did not accept the login: %d %s", number,
				 reply);
	if (a->stage == STAGE_SENDER && about_mail)
		return error_set(e, code, "from: the mail server refused it: %d %s", number, reply);
	return error_set(e, code, "the mail server refused the %s: %d %s",
			 about_mail ? "message" : "connection", number, reply);
}

static enum error_code outcome(CURLcode result, const struct attempt *a, struct error *e)
{
	if (result == CURLE_OK) {
		log_info("mail taken", LOG_TEXT("message_id", a->envelope->message_id),
			 LOG_TEXT("reply", a->reply));
		return ERROR_NONE;
	}
	log_warning("mail not sent", LOG_TEXT("message_id", a->envelope->message_id),
		    LOG_TEXT("stage", stages[a->stage]), LOG_INT("code", a->refusal),
		    LOG_TEXT("reply", a->reply), LOG_TEXT("reason", a->reason),
		    LOG_TEXT("result", curl_easy_strerror(result)));
	if (a->refusal || a->refused.count > 0)
		return refused(a, e);
	if (a->given == a->message.n)
		return error_set(e, ERROR_PEER_TIMEOUT,
				 "the mail server did not say whether it took the message");
	return smtp_server_failed(result, e);
}

/* Whether a kept connection had gone stale: then nothing was done, and a new one may do it. */
static bool was_stale(const struct attempt *a)
{
	long connects = 1;
	curl_easy_getinfo(kept, CURLINFO_NUM_CONNECTS, &connects);
	if (a->refused.count > 0 && a->refused.code != 421)
		return false;
	return a->ready && connects == 0 && a->given == 0 && (a->refusal == 0 || a->refusal == 421);
}

static enum error_code perform(struct attempt *a, const struct smtp_envelope *envelope, CURLU *url,
			       struct curl_slist *to, int64_t deadline_ms, struct error *e)
{
	CURLcode result = CURLE_OK;
	bool again = true;
	for (int tries = 0; again && tries < 2; tries++) {
		long left = clock_left_ms(deadline_ms);
		if (left == 0 && tries > 0)
			break;
		if (left == 0)
			return error_set(e, ERROR_PEER_DOWN, "no time was left to send the mail");
		if (!kept && !(kept = curl_easy_init()))
			return error_set(e, ERROR_INTERNAL, "out of memory");
		*a = (struct attempt){ .server = a->server,
				       .message = a->message,
				       .envelope = envelope };
		curl_easy_reset(kept);
		if (!smtp_server_set(kept, a->server, url, left) ||
		    !set_mail(kept, a, envelope->from->text, to))
			return error_set(e, ERROR_INTERNAL, "the mail client cannot be set up");
		result = curl_easy_perform(kept);
		note_recipient(a);
		again = result != CURLE_OK && was_stale(a);
		if (result != CURLE_OK)
			smtp_finish();
	}
	return outcome(result, a, e);
}

enum error_code smtp_send(const struct smtp_server *server, const struct smtp_envelope *envelope,
			  struct text message, int64_t deadline_ms, struct error *e)
{
	static bool initialized;
	if (!initialized && curl_global_init(CURL_GLOBAL_DEFAULT))
		return error_set(e, ERROR_INTERNAL, "out of memory");
	initialized = true;
	struct attempt a = { .server = server, .message = message };
	struct curl_slist *to = NULL;
	CURLU *url = curl_url();
	enum error_code code = url ? smtp_server_url(server, url, e)
				   : error_set(e, ERROR_INTERNAL, "out of memory");
	for (size_t i = 0; !code && i < envelope->to_count; i++) {
		struct curl_slist *longer = curl_slist_append(to, envelope->to[i]->text);
		if (longer)
			to = longer;
		else
			code = error_set(e, ERROR_INTERNAL, "out of memory");
	}
	if (!code)
		code = perform(&a, envelope, url, to, deadline_ms, e);
	/* What the kept handle borrowed ends with this call. */
	if (kept)
		curl_easy_reset(kept);
	curl_slist_free_all(to);
	curl_url_cleanup(url);
	return code;
}

void smtp_finish(void)
{
	if (!kept)
		return;
	/* libcurl says QUIT, but may wait two minutes for its answer: it finds the end at once. */
	curl_socket_t socket = CURL_SOCKET_BAD;
	if (!curl_easy_getinfo(kept, CURLINFO_ACTIVESOCKET, &socket) && socket != CURL_SOCKET_BAD)
		shutdown(socket, SHUT_RD);
	curl_easy_cleanup(kept);
	kept = NULL;
	logged_in = false;
}
