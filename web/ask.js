// Asking this stack: one request, and what came back with what is known about it.

// Longer than the front door waits for a handler, so that its answer is seen rather than our own.
const CALL_TIMEOUT_MS = 40_000;

// An error of ask() as a sentence.
export function describeFailure(failure) {
	if (failure.name === "TimeoutError")
		return `no answer within ${CALL_TIMEOUT_MS / 1000} s`;
	return `no connection to the front door (${failure.message})`;
}

// Returns the reply: its status, who answered, how long it took, the request's id, and {value} for JSON
// or {text} for anything else.
export async function ask(path, options = {}) {
	const start = performance.now();
	const response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
	const text = await response.text();
	const reply = {
		ok: response.ok,
		status: response.status,
		from: response.headers.get("X-Handler") ?? "the front door",
		id: response.headers.get("X-Request-Id") ?? "",
		ms: Math.round(performance.now() - start),
	};
	try {
		return { ...reply, value: JSON.parse(text) };
	} catch {
		return { ...reply, text };
	}
}

// Posts a body as JSON; null is an empty one.
export function post(path, body) {
	return ask(path, {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: body === null ? "" : JSON.stringify(body),
	});
}
