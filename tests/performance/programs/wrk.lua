-- Posts the body in the file named by BENCH_BODY with wrk, with BENCH_TOKEN if there is one, and hands in the work done as one line of JSON.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
file:close()
local token = os.getenv("BENCH_TOKEN")
if token and token ~= "" then wrk.headers["Authorization"] = "Bearer " .. token end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\n{"amount":%d,"seconds":%.6f,"failed":%d}\n', summary.requests, summary.duration / 1e6, failed))
end
