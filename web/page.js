// The test page: each button posts one body and shows what was sent, what came back, and a line about it.
import { describeFailure, post } from "./ask.js";
import { followUp, startLiveView } from "./live.js";

// What a field of a form says; null for one that is left to the stack.
const field = (form, name) => document.getElementById(form).elements[name].value;
const choice = (form, name) => field(form, name) || null;

function logEntry() {
	const level = choice("logForm", "level");
	return { name: field("logForm", "name"), data: field("logForm", "data"), ...(level && { level }) };
}

const CALLS = [
	{ button: "brokerBtn", path: "/", body: () => null },
	{
		button: "authBrokerBtn",
		path: "/handle",
		body: () => ({
			action: "auth",
			auth: { email: field("authForm", "email"), password: field("authForm", "password") },
		}),
	},
	{
		button: "logBtn",
		path: "/handle",
		body() {
			const transport = choice("logForm", "transport");
			return { action: "log", log: logEntry(), ...(transport && { transport }) };
		},
	},
	{ button: "logGBtn", path: "/log-gRPC", body: () => ({ action: "log", log: logEntry() }) },
	{
		button: "mailBtn",
		path: "/handle",
		body: () => ({
			action: "mail",
			mail: {
				from: field("mailForm", "from"),
				to: field("mailForm", "to"),
				subject: field("mailForm", "subject"),
				message: field("mailForm", "message"),
			},
		}),
	},
];

const output = document.getElementById("output");
const payload = document.getElementById("payload");
const received = document.getElementById("received");
const facts = document.getElementById("facts");
const request = document.getElementById("request");

const indented = (value) => JSON.stringify(value, null, 2);

// Replies are other people's text: they become text nodes and never HTML.
function addLine(text, isError, ms) {
	const line = document.createElement("div");
	line.className = isError ? "error" : "reply";
	line.textContent = text;
	line.dataset.ms = ms === undefined ? "" : `${ms} ms`;
	line.dataset.time = new Date().toLocaleTimeString();
	output.append(line);
	output.scrollTop = output.scrollHeight;
}

function describeReply({ ok, status, value }) {
	if (value === undefined)
		return { line: `Error: the answer (status ${status}) is not JSON`, isError: true };
	const message = value?.message ?? `status ${status}, without a message`;
	if (!ok || value?.error)
		return { line: `Error: ${message}`, isError: true };
	return { line: `Response from broker service: ${message}`, isError: false };
}

function showSent(body) {
	payload.textContent = body === null ? "" : indented(body);
	payload.dataset.empty = "An empty body.";
	received.textContent = "";
	received.dataset.empty = "Waiting for the reply.";
	facts.textContent = "";
	request.textContent = "";
}

function showReceived({ status, from, id, ms, value, text }) {
	received.textContent = value === undefined ? text : indented(value);
	received.dataset.empty = "An empty reply.";
	facts.textContent = `${status} from ${from}, ${ms} ms`;
	request.textContent = id && `Request ${id}`;
}

function showNothingReceived() {
	received.dataset.empty = "No reply.";
}

// Beside a button: how its last call went.
function showOutcome(button, text, state) {
	button.dataset.outcome = text;
	button.dataset.state = state;
}

// The panes belong to the call that was made last, the lines to all of them.
let lastCall = null;

async function call({ path, body: makeBody }, button) {
	const thisCall = (lastCall = {});
	const body = makeBody();
	button.disabled = true;
	showSent(body);
	showOutcome(button, "…", "waiting");
	try {
		const reply = await post(path, body);
		const { line, isError } = describeReply(reply);
		addLine(line, isError, reply.ms);
		showOutcome(button, `${reply.status} · ${reply.ms} ms`, isError ? "error" : "done");
		if (thisCall === lastCall)
			showReceived(reply);
		followUp(body?.action, reply);
	} catch (failure) {
		addLine(`Error: ${describeFailure(failure)}`, true);
		showOutcome(button, "no answer", "error");
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
	button.form.addEventListener("submit", (event) => {
		event.preventDefault();
		if (event.submitter === button)
			call(each, button);
	});
}

startLiveView();
