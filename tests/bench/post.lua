-- wrk: POSTs the body in BODY, and counts the answers that are not the status in WANTED.
wrk.method = "POST"
wrk.body = os.getenv("BODY")
wrk.headers["Content-Type"] = "application/json"

local wanted = tonumber(os.getenv("WANTED"))
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  wrong = 0
end

function response(status)
  if status ~= wanted then
    wrong = wrong + 1
  end
end

function done(summary, latency)
  local wrong_answers = 0
  for _, thread in ipairs(threads) do
    wrong_answers = wrong_answers + thread:get("wrong")
  end
  local e = summary.errors
  io.write(string.format('\n{"rate":%.1f,"p50_ms":%.2f,"p99_ms":%.2f,"requests":%d,"wrong":%d,"broken":%d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.requests, wrong_answers, e.connect + e.read + e.write + e.timeout))
end
