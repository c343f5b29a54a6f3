// What happened next: the entries that are stored and the mails that arrived, asked for again and again
// while somebody looks.
import { ask, describeFailure } from "./ask.js";

const PAGE_ENTRIES = 20;
const PAGE_MAILS = 20;
const MOST_SHOWN = 400;
const POLL_MS = 5_000;
// A store for which a list is hard work is left alone for ten times as long as the last one took.
const POLL_SHARE = 10;
const MOST_POLL_MS = 60_000;
// After a call, what it did is looked for sooner: after so long each.
const FOLLOW_UP_MS = [80, 250, 600, 1500, 3000];
const SLOW_MS = 1_000;
const TYPING_PAUSE_MS = 300;

const byId = (id) => document.getElementById(id);
const live = byId("live");
const filter = byId("filter");
const older = byId("older");

// An element with a class and a text: what others wrote becomes text and never HTML.
function element(tag, className, text = "") {
	const e = document.createElement(tag);
	e.className = className;
	e.textContent = text;
	return e;
}

function timeElement(iso) {
	const time = new Date(iso);
	const today = time.toDateString() === new Date().toDateString();
	const e = element("time", "when", today ? time.toLocaleTimeString() : time.toLocaleString());
	e.dateTime = iso;
	return e;
}

// A note is said aloud by screen readers: it changes only when it has something new to say.
function note(id, text) {
	if (byId(id).textContent !== text)
		byId(id).textContent = text;
}

// What a view says when it cannot show anything, or "" when it can.
function refusal(reply, off) {
	if (reply.status === 404)
		return off;
	if (!reply.ok || reply.value === undefined)
		return `Error: ${reply.value?.message ?? `status ${reply.status}`}`;
	return "";
}

// --- stored entries

const entries = {
	list: byId("entries"),
	ids: new Set(), // of those in the list
	made: new Set(), // by calls of this page
	next: null, // the cursor of what is older
	beginning: 0, // counts how often the list began anew
	asked: 0, // counts questions for the newest
	cost: 0, // milliseconds that the last answer took; MOST_POLL_MS after a failure
	off: false,
};

function entryItem(entry) {
	const item = element("li", "entry");
	const head = element("div", "head");
	const level = element("span", "level", entry.level);
	level.dataset.level = entry.level;
	head.append(level, element("span", "name", entry.name), timeElement(entry.created_at));
	item.append(head, element("div", "data", entry.data), element("code", "id", entry.id));
	item.dataset.id = entry.id;
	return item;
}

function markMade() {
	for (const item of entries.list.children)
		item.classList.toggle("made", entries.made.has(item.dataset.id));
}

function forgetEntries() {
	entries.list.replaceChildren();
	entries.ids.clear();
	entries.next = null;
	entries.beginning++;
}

function askForEntries(cursor) {
	const { name, level, token } = filter.elements;
	const query = new URLSearchParams({ limit: PAGE_ENTRIES });
	if (name.value)
		query.set("name", name.value);
	if (level.value)
		query.set("level", level.value);
	if (cursor)
		query.set("cursor", cursor);
	const headers = token.value ? { Authorization: `Bearer ${token.value}` } : {};
	return ask(`/logs?${query}`, { headers });
}

const notShown = (page) => page.filter((entry) => !entries.ids.has(entry.id));

function addEntries(where, fresh) {
	entries.list[where](...fresh.map(entryItem));
	fresh.forEach((entry) => entries.ids.add(entry.id));
}

// New ones go to the top. A page that has nothing of what is shown is far newer, and takes its place.
function showNewest({ entries: page, next }) {
	const count = notShown(page).length;
	if (count === page.length || count + entries.ids.size > MOST_SHOWN) {
		forgetEntries();
		entries.next = next;
	}
	addEntries("prepend", notShown(page));
}

function showOlder({ entries: page, next }) {
	addEntries("append", notShown(page));
	entries.next = next;
}

function describeEntries() {
	if (entries.ids.size > 0)
		return `${entries.ids.size} shown, newest first${entries.next ? "; there are older ones" : ""}`;
	return filter.elements.name.value || filter.elements.level.value ? "No entry is like this." : "No entry is stored yet.";
}

// An answer counts only while the list is the one that it was asked for: a filter may have changed meanwhile.
async function updateEntries(show, cursor) {
	const { beginning } = entries;
	const question = cursor ? null : ++entries.asked;
	try {
		const reply = await askForEntries(cursor);
		entries.cost = reply.status < 500 ? reply.ms : MOST_POLL_MS;
		if (beginning !== entries.beginning || (question && question !== entries.asked))
			return;
		const why = refusal(reply, "This stack does not show its entries (LOGS_ACCESS).");
		entries.off = reply.status === 404;
		byId("token").hidden = reply.status !== 401 && !filter.elements.token.value;
		filter.hidden = entries.off;
		if (why)
			forgetEntries();
		else
			show(reply.value.data);
		markMade();
		older.hidden = !entries.next;
		note("entriesNote", why || describeEntries());
	} catch (failure) {
		entries.cost = MOST_POLL_MS;
		note("entriesNote", `Error: ${describeFailure(failure)}`);
	}
}

const refreshEntries = () => updateEntries(showNewest, null);

// --- mails

const mails = { list: byId("mails"), ids: new Set(), off: false };

const address = ({ Name: name, Address: at }) => (name ? `${name} <${at}>` : at);

async function showText(id, place) {
	place.textContent = "Asking…";
	try {
		const { value, status } = await ask(`/inbox/api/v1/message/${encodeURIComponent(id)}`);
		place.textContent = value?.Text ?? `Error: status ${status}`;
	} catch (failure) {
		place.textContent = `Error: ${describeFailure(failure)}`;
	}
}

function mailItem(mail) {
	const item = element("li", "mail");
	const details = document.createElement("details");
	const summary = document.createElement("summary");
	const head = element("div", "head");
	head.append(element("span", "name", mail.Subject || "(no subject)"), timeElement(mail.Created));
	const people = `${address(mail.From ?? { Address: "nobody" })} → ${(mail.To ?? []).map(address).join(", ")}`;
	const text = element("pre", "text");
	summary.append(head, element("div", "data", people));
	details.append(summary, text);
	details.addEventListener("toggle", () => details.open && !text.textContent && showText(mail.ID, text));
	item.append(details);
	item.dataset.id = mail.ID;
	return item;
}

// Those that stay keep their elements, opened or not.
function showMails(page) {
	const shown = new Map([...mails.list.children].map((item) => [item.dataset.id, item]));
	const wanted = page.map((mail) => shown.get(mail.ID) ?? mailItem(mail));
	if (wanted.length !== shown.size || wanted.some((item, i) => item !== mails.list.children[i]))
		mails.list.replaceChildren(...wanted);
}

async function refreshMails() {
	try {
		const reply = await ask(`/inbox/api/v1/messages?limit=${PAGE_MAILS}`);
		const why = refusal(reply, "This stack has no inbox to show.");
		mails.off = reply.status === 404;
		showMails(why ? [] : reply.value.messages);
		const { messages = [], total = 0 } = reply.value ?? {};
		note("mailsNote", why || (total ? `${messages.length} of ${total}, newest first` : "No mail has arrived yet."));
	} catch (failure) {
		note("mailsNote", `Error: ${describeFailure(failure)}`);
	}
}

// --- when to ask

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const wanted = () => live.checked && document.visibilityState === "visible";

let following = 0;

// Looks for what a call did, until it is there.
export async function followUp(action, reply) {
	if (!reply.ok || !["log", "mail", "auth"].includes(action))
		return;
	const made = reply.value?.data?.id;
	if (action === "log" && made)
		entries.made.add(made);
	const turn = ++following;
	for (const ms of FOLLOW_UP_MS) {
		await pause(ms);
		if (turn !== following || !wanted())
			return;
		await Promise.all([
			action !== "mail" && !entries.off && refreshEntries(),
			action === "mail" && !mails.off && refreshMails(),
		]);
		if ((action === "log" && entries.ids.has(made)) || entries.cost > SLOW_MS)
			return;
	}
}

function refresh() {
	return Promise.all([!entries.off && refreshEntries(), !mails.off && refreshMails()]);
}

// One question at a time: the next waits for the answer to the last.
async function poll() {
	for (;;) {
		await pause(Math.min(Math.max(POLL_MS, POLL_SHARE * entries.cost), MOST_POLL_MS));
		if (wanted())
			await refresh();
	}
}

let typing = 0;

function filterChanged() {
	clearTimeout(typing);
	typing = setTimeout(() => {
		forgetEntries();
		refreshEntries();
	}, TYPING_PAUSE_MS);
}

export function startLiveView() {
	filter.addEventListener("input", filterChanged);
	filter.addEventListener("submit", (event) => event.preventDefault());
	older.addEventListener("click", () => updateEntries(showOlder, entries.next));
	live.addEventListener("change", () => wanted() && refresh());
	document.addEventListener("visibilitychange", () => wanted() && refresh());
	refresh();
	poll();
}
