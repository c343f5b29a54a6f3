// The test page: each button posts one body and shows what was sent, what came back, and a line about it.
"use strict";

// Longer than the front door waits for a handler, so that its answer is seen rather than our own.
const CALL_TIMEOUT_MS = 40_000;

const CALLS = [
	{ button: "brokerBtn", path: "/", body: null },
	{
		button: "authBrokerBtn",
		path: "/handle",
		body: { action: "auth", auth: { email: "admin@example.com", password: "verysecret" } },
	},
	{
		button: "logBtn",
		path: "/handle",
		body: { action: "log", log: { name: "event", data: "Some kind of data" } },
	},
	{
		button: "mailBtn",
		path: "/handle",
		body: {
			action: "mail",
			mail: {
				from: "me@example.com",
				to: "you@there.com",
				subject: "Test email",
				message: "Hello world!",
			},
		},
	},
	{
		button: "logGBtn",
		path: "/log-gRPC",
		body: { action: "log", log: { name: "event", data: "Some kind of data" } },
	},
];

const output = document.getElementById("output");
const payload = document.getElementById("payload");
const received = document.getElementById("received");
const facts = document.getElementById("facts");

const indented = (value) => JSON.stringify(value, null, 2);

// Replies are other people's text: they become text nodes and never HTML.
function addLine(text, isError) {
	const line = document.createElement("div");
	line.className = isError ? "error" : "reply";
	line.textContent = text;
	line.dataset.time = new Date().toLocaleTimeString();
	output.append(line);
	output.scrollTop = output.scrollHeight;
}

// Returns what came back: its status, who answered, how long it took, and {value} for JSON or {text}
// for anything else.
async function post(path, body) {
	const start = performance.now();
	const response = await fetch(path, {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: body === null ? "" : JSON.stringify(body),
		signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
	});
	const text = await response.text();
	const reply = {
		ok: response.ok,
		status: response.status,
		from: response.headers.get("X-Handler") ?? "the front door",
		ms: Math.round(performance.now() - start),
	};
	try {
		return { ...reply, value: JSON.parse(text) };
	} catch {
		return { ...reply, text };
	}
}

function describeReply({ ok, status, value }) {
	if (value === undefined)
		return { line: `Error: the answer (status ${status}) is not JSON`, isError: true };
	const message = value?.message ?? `status ${status}, without a message`;
	if (!ok || value?.error)
		return { line: `Error: ${message}`, isError: true };
	return { line: `Response from broker service: ${message}`, isError: false };
}

function describeFailure(failure) {
	if (failure.name === "TimeoutError")
		return `Error: no answer within ${CALL_TIMEOUT_MS / 1000} s`;
	return `Error: no connection to the front door (${failure.message})`;
}

function showSent(body) {
	payload.textContent = body === null ? "" : indented(body);
	payload.dataset.empty = "An empty body.";
	received.textContent = "";
	received.dataset.empty = "Waiting for the reply.";
	facts.textContent = "";
}

function showReceived({ status, from, ms, value, text }) {
	received.textContent = value === undefined ? text : indented(value);
	received.dataset.empty = "An empty reply.";
	facts.textContent = `${status} from ${from}, ${ms} ms`;
}

function showNothingReceived() {
	received.dataset.empty = "No reply.";
}

// The panes belong to the call that was made last, the lines to all of them.
let lastCall = null;

async function call({ path, body }, button) {
	const thisCall = (lastCall = {});
	button.disabled = true;
	showSent(body);
	try {
		const reply = await post(path, body);
		const { line, isError } = describeReply(reply);
		addLine(line, isError);
		if (thisCall === lastCall)
			showReceived(reply);
	} catch (failure) {
		addLine(describeFailure(failure), true);
		if (thisCall === lastCall)
			showNothingReceived();
	} finally {
		button.disabled = false;
		// A button loses the focus when it is disabled; it gets it back unless the person moved on.
		if (document.activeElement === document.body)
			button.focus({ preventScroll: true });
	}
}

for (const each of CALLS) {
	const button = document.getElementById(each.button);
	button.addEventListener("click", () => call(each, button));
}
