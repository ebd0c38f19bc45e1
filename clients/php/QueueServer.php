<?php

/**
 * A client for Queue Server in one file: copy it and require it. It needs PHP 8.1 or newer and nothing else
 * (for https:// also PHP's openssl extension).
 *
 *     require_once 'QueueServer.php';
 *
 *     $queue = new QueueServer\Client('http://127.0.0.1:1337');
 *     $job = $queue->addHttp('http://127.0.0.1/sendmails.php', params: ['mailing' => 1234], priority: 800);
 *     $job = $queue->wait($job['id'], timeout: 60);
 *     echo $job['state'], ': ', $queue->output($job['id']);
 *
 * Jobs and all else that comes from the server are arrays with the members that its API has; see docs/api.md.
 *
 * What can go wrong is thrown:
 *
 *     QueueServerException      ->status (HTTP, 0 where there is none), ->errors (pointer => what is wrong)
 *     ├── InvalidJob            400  what was sent is not valid
 *     ├── NotAllowed            401, 403  the token or a setting forbids it
 *     ├── NotFound              404
 *     ├── Conflict              409  the job is not in a state for what was asked
 *     ├── JobDeleted            410  the job of this idempotency key has been deleted since
 *     ├── TooLarge              413  more than the server's max_body
 *     ├── KeyMismatch           422  the idempotency key was used for another job
 *     ├── Unavailable           429, 502, 503, 504  also after trying again; ->retryAfter
 *     ├── InvalidSignature      Signature::verify() looked at a request that the server has not sent
 *     ├── Unreachable           no answer: refused, broken off, timed out; ->mayBeDone
 *     └── TimedOut              wait() had no result in time; ->last
 *
 * Copyright (c) 2026 The Queue Server authors. SPDX-License-Identifier: MIT
 */

declare(strict_types=1);

namespace QueueServer;

/**
 * A Queue Server. Requests that got no answer, or "try again later", are repeated a few times where that cannot do
 * harm; add() and addMany() send an idempotency key for that, so that a job is never added twice.
 *
 * @phpstan-type Job array{
 *     id: int, state: string, type: string, summary: string, queue: string, key: ?string, priority: int,
 *     context: string, tags: array<array-key, string>, command: array<string, mixed>,
 *     callback_done?: array<string, mixed>, callback_failed?: array<string, mixed>, retry?: array<string, mixed>,
 *     attempt: int, max_attempts: int, run_at: string, expires_at: ?string, deadline: int|float|string|null,
 *     retention: int|float|null, created_at: string, started_at: ?string, ended_at: ?string, outcome: ?string,
 *     exit_code: ?int, error: ?string, reason: string, parent_id: ?int, node_id: ?int, claim: int,
 *     cancel_requested: bool, heartbeat_until: ?string
 * }
 * @phpstan-type Attempt array{
 *     number: int, claim: int, node_id: ?int, started_at: string, ended_at: ?string, duration: int|float|null,
 *     queued: int|float|null, connect: int|float|null, first_byte: int|float|null, outcome: ?string,
 *     exit_code: ?int, signal: ?int, error: ?string, output_size: ?int
 * }
 * @phpstan-type Operation array{
 *     id: int, action: string, filter: array<string, mixed>, state: string, matched: int, done: int, skipped: int,
 *     created_at: string, ended_at: ?string, error: ?string
 * }
 * @phpstan-type Bulk array{matched: int, dry_run: bool, operation?: Operation}
 * @phpstan-type Page array{items: list<Job>, next_cursor: ?string}
 * @phpstan-type Heartbeat array{job_id: int, claim: int, heartbeat_until: ?string, cancel_requested: bool}
 * @phpstan-type Event array{id: ?string, type: string, data: array<string, mixed>}
 * @phpstan-type Filter array<string, mixed>
 */
final class Client
{
    public const VERSION = '1.0';

    /** The server's limit for one batch; addMany() sends more than that in parts. */
    public const BATCH_JOBS = 10_000;

    private const BATCH_BYTES = 48 * 1024 * 1024;
    private const FINAL_STATES = ['completed', 'failed', 'cancelled'];

    /** Seconds that one request waits at the server; longer waits are made of several (proxies give up after 60). */
    private const LONGEST_WAIT = 30.0;

    private readonly Transport $transport;

    /**
     * @param string $url where the server is; a path is put before all paths
     * @param ?string $token sent as `Authorization: Bearer …`
     * @param float $timeout seconds for one request from connecting to the last byte (waiting for a job comes on top)
     * @param float $connectTimeout seconds for connecting, with TLS
     * @param int $retries how often a request is repeated; 0 for never
     * @param array<string, mixed> $ssl context options of PHP for https, such as `['cafile' => '/etc/ssl/ours.pem']`
     */
    public function __construct(
        string $url = 'http://127.0.0.1:1337',
        #[\SensitiveParameter] ?string $token = null,
        float $timeout = 30.0,
        float $connectTimeout = 5.0,
        int $retries = 4,
        array $ssl = [],
    ) {
        $this->transport = new Transport(new Address($url, $ssl), $token, $timeout, $connectTimeout, $retries);
    }

    /** The server of QUEUE_SERVER_URL (default http://127.0.0.1:1337), with QUEUE_SERVER_TOKEN. */
    public static function fromEnvironment(): self
    {
        return new self(
            ((string) getenv('QUEUE_SERVER_URL')) ?: 'http://127.0.0.1:1337',
            ((string) getenv('QUEUE_SERVER_TOKEN')) ?: null,
        );
    }

    // ---- Adding ----------------------------------------------------------------------------------------------------

    /**
     * Add a job; it is durable when this returns.
     *
     * Empty arrays become {} where the API wants an object (params, headers, env, tags, retry); inside `json` they stay
     * [] - write `new \stdClass` for {}. Times may be DateTimeInterface.
     *
     * @param array<string, mixed> $job only `command` is required
     * @param ?string $idempotencyKey the same key with the same job gives the same job again; each call makes a key of
     *     its own where there is none
     * @return Job
     */
    public function add(array $job, ?string $idempotencyKey = null): array
    {
        if ($idempotencyKey === null && !isset($job['idempotency_key'])) {
            $idempotencyKey = self::newKey();
        }
        $headers = [];
        if ($idempotencyKey !== null && self::fitsHeader($idempotencyKey)) {
            $headers['Idempotency-Key'] = $idempotencyKey;
        } elseif ($idempotencyKey !== null) {
            $job['idempotency_key'] = $idempotencyKey;
        }
        /** @var Job $added */
        $added = $this->ask('POST', '/v1/jobs', Json::encode(Json::job($job)), $headers);

        return $added;
    }

    /**
     * Add a job that requests a URL. At most one of `json` and `body`; `params` go into the query of GET, HEAD and
     * DELETE, and are a form otherwise. All other members of a job are named as in the API:
     * `addHttp($url, json: ['a' => 1], priority: 800, delay: 60, retry: ['max_attempts' => 5])`.
     *
     * @param array<array-key, mixed> $params
     * @param array<string, string> $headers
     * @param ?string $body any bytes
     * @param string|int|null $expect statuses that mean success, such as "200-299,404"
     * @return Job
     */
    public function addHttp(
        string $url,
        ?string $method = null,
        array $params = [],
        array $headers = [],
        mixed $json = null,
        ?string $body = null,
        int|float|null $timeout = null,
        string|int|null $expect = null,
        mixed ...$job,
    ): array {
        $isText = $body === null || preg_match('//u', $body) === 1;
        $command = self::given([
            'method' => $method,
            'params' => $params ?: null,
            'headers' => $headers ?: null,
            'json' => $json,
            'body' => $isText ? $body : null,
            'body_base64' => $isText ? null : base64_encode($body),
            'timeout' => $timeout,
            'expect' => $expect,
        ]);

        return $this->add(['command' => ['type' => 'http', 'url' => $url] + $command] + self::members($job));
    }

    /**
     * Add a job that runs a command on the server: a text goes through `/bin/sh -c`, a list runs without a shell.
     * All other members of a job are named as in the API.
     *
     * @param string|array<array-key, string> $command
     * @param array<string, string> $env
     * @param string|int|null $expect exit codes that mean success
     * @return Job
     */
    public function addExec(
        string|array $command,
        ?string $cwd = null,
        array $env = [],
        ?string $stdin = null,
        int|float|null $timeout = null,
        string|int|null $expect = null,
        mixed ...$job,
    ): array {
        $what = is_array($command) ? ['args' => array_values($command)] : ['cmd' => $command];
        $options = self::given([
            'cwd' => $cwd,
            'env' => $env ?: null,
            'stdin' => $stdin,
            'timeout' => $timeout,
            'expect' => $expect,
        ]);

        return $this->add(['command' => ['type' => 'exec'] + $what + $options] + self::members($job));
    }

    /**
     * Add a job that runs a command which the server's settings file names, with a value for each of its parameters.
     * All other members of a job are named as in the API.
     *
     * @param array<string, string|int|float|bool> $arguments
     * @param string|int|null $expect exit codes that mean success
     * @return Job
     */
    public function addNamed(
        string $name,
        array $arguments = [],
        int|float|null $timeout = null,
        string|int|null $expect = null,
        mixed ...$job,
    ): array {
        $command = self::given([
            'type' => 'exec',
            'name' => $name,
            'arguments' => $arguments ?: null,
            'timeout' => $timeout,
            'expect' => $expect,
        ]);

        return $this->add(['command' => $command] + self::members($job));
    }

    /**
     * Add many jobs, quickly: up to 10,000 in one request, all of them or none. More are sent in parts of that size,
     * each of which is all or nothing. To go on after an error between the parts, call it again with the same jobs
     * and the `idempotencyKey` of the first call: the parts that are there already (the error's `added`) are not
     * added again.
     *
     * @param iterable<array<string, mixed>> $jobs
     * @return list<int> the ids, in the order of the jobs
     */
    public function addMany(iterable $jobs, ?string $idempotencyKey = null): array
    {
        $key = $idempotencyKey ?? self::newKey();
        if (!self::fitsHeader($key)) {
            throw new \InvalidArgumentException('The idempotency key of a batch must be visible ASCII characters.');
        }
        $ids = [];
        foreach (self::parts($jobs) as $number => $lines) {
            $headers = ['Idempotency-Key' => $number === 0 ? $key : "$key.$number"];
            try {
                $answer = $this->ask('POST', '/v1/jobs/batch', '[' . implode(',', $lines) . ']', $headers);
            } catch (QueueServerException $error) {
                $error = $error instanceof InvalidJob ? $error->inPartFrom(count($ids)) : $error;
                $error->added = $ids;
                throw $error;
            }
            /** @var list<int> $added */
            $added = $answer['ids'];
            array_push($ids, ...$added);
        }

        return $ids;
    }

    // ---- Looking ---------------------------------------------------------------------------------------------------

    /** @return Job */
    public function get(int $id): array
    {
        /** @var Job $job */
        $job = $this->ask('GET', "/v1/jobs/$id");

        return $job;
    }

    /**
     * Wait until a job is final (completed, failed or cancelled).
     *
     * @param ?float $timeout seconds; null waits as long as it takes
     * @return Job
     * @throws TimedOut when it is not final by then; its `last` is the job as it was seen last
     */
    public function wait(int $id, ?float $timeout = null): array
    {
        $isFinal = static fn (array $job): bool => in_array($job['state'], self::FINAL_STATES, true);
        /** @var Job $job */
        $job = $this->poll("/v1/jobs/$id", "Job $id", $timeout, $isFinal);

        return $job;
    }

    /**
     * All jobs that a filter matches, fetched page by page while you go through them.
     *
     * @param Filter $filter the list's parameters: state (one, or a list), type, queue, context, key, parent_id, tags
     *     (name => value), created_after, created_before, ended_after, ended_before (texts or DateTimeInterface)
     * @param ?string $sort -id (newest first), id, -ended_at, ended_at, run_at
     * @param ?int $limit at most that many
     * @return \Generator<int, Job>
     */
    public function jobs(array $filter = [], ?string $sort = null, ?int $limit = null): \Generator
    {
        $left = $limit ?? PHP_INT_MAX;
        $cursor = null;
        do {
            $page = $this->page($filter, $sort, min($left, 200), $cursor);
            foreach ($page['items'] as $job) {
                yield $job;
                if (--$left <= 0) {
                    return;
                }
            }
            $cursor = $page['next_cursor'];
        } while ($cursor !== null);
    }

    /**
     * One page of jobs(). It may hold fewer than `limit` jobs, even none, while there is a `next_cursor`.
     *
     * @param Filter $filter
     * @param int $limit 1 to 1000
     * @param ?string $cursor the `next_cursor` of the page before
     * @return Page
     */
    public function page(array $filter = [], ?string $sort = null, int $limit = 50, ?string $cursor = null): array
    {
        if (array_intersect(['sort', 'limit', 'cursor'], array_keys($filter)) !== []) {
            throw new \InvalidArgumentException('sort, limit and cursor are arguments of their own.');
        }
        $query = Json::query($filter + ['sort' => $sort, 'limit' => $limit, 'cursor' => $cursor]);
        /** @var Page $page */
        $page = $this->ask('GET', "/v1/jobs$query");

        return $page;
    }

    /** @return list<Attempt> the ended attempts, oldest first */
    public function attempts(int $id): array
    {
        /** @var list<Attempt> $attempts */
        $attempts = $this->ask('GET', "/v1/jobs/$id/attempts")['items'];

        return $attempts;
    }

    /**
     * What an attempt printed, or what its target answered: bytes, of any kind.
     *
     * @param string $stream output (stdout, or the answer's body), stderr, head (the answer's status and headers)
     * @param ?int $attempt the last one where it is null
     * @param ?int $from the first byte wanted, counted from 0; -100 for the last 100
     * @param ?int $to the last byte wanted (included)
     */
    public function output(
        int $id,
        string $stream = 'output',
        ?int $attempt = null,
        ?int $from = null,
        ?int $to = null,
    ): string {
        $path = "/v1/jobs/$id/output" . Json::query(['stream' => $stream, 'attempt' => $attempt]);
        if ($from === null && $to === null) {
            return $this->expect($this->transport->call('GET', $path))->body;
        }
        $from ??= 0;
        if (($to !== null && $to < $from) || ($from < 0 && $to !== null)) {
            throw new \InvalidArgumentException("There are no bytes $from to $to.");
        }
        $headers = ['Range' => $from < 0 ? "bytes=$from" : "bytes=$from-$to"];
        $answer = $this->transport->call('GET', $path, null, $headers);
        if ($answer->status === 416) {
            return ''; // there are no such bytes
        }
        if ($this->expect($answer)->status === 206) {
            return $answer->body;
        }

        return substr($answer->body, $from, $to === null ? null : $to - $from + 1);
    }

    /**
     * What an attempt prints, piece by piece while it runs; ends with the attempt. A waiting job is waited for.
     *
     * @param ?float $idle seconds without a piece after which it is given up; null for never
     * @return \Generator<int, string>
     */
    public function followOutput(
        int $id,
        string $stream = 'output',
        ?int $attempt = null,
        ?float $idle = null,
    ): \Generator {
        $query = Json::query(['stream' => $stream, 'attempt' => $attempt, 'follow' => 1]);
        foreach ($this->transport->open("/v1/jobs/$id/output$query")->pieces($idle ?? INF) as $piece) {
            yield $piece;
        }
    }

    /** @return array{id: int, state: string, sentence: string, facts: array<string, mixed>} why it is in that state */
    public function explain(int $id): array
    {
        /** @var array{id: int, state: string, sentence: string, facts: array<string, mixed>} $answer */
        $answer = $this->ask('GET', "/v1/jobs/$id/explain");

        return $answer;
    }

    /** @return array{version: string, jobs: array<string, int>, slots: array{total: int, free: int}} */
    public function stats(): array
    {
        /** @var array{version: string, jobs: array<string, int>, slots: array{total: int, free: int}} $stats */
        $stats = $this->ask('GET', '/v1/stats');

        return $stats;
    }

    // ---- Changing --------------------------------------------------------------------------------------------------

    /**
     * Change members of a job that has not started; null removes one (RFC 7396).
     *
     * @param array<string, mixed> $changes
     * @return Job
     */
    public function update(int $id, array $changes): array
    {
        $headers = ['Content-Type' => 'application/merge-patch+json'];
        /** @var Job $job */
        $job = $this->ask('PATCH', "/v1/jobs/$id", Json::encode(Json::job($changes)), $headers);

        return $job;
    }

    /** Delete a final job. */
    public function delete(int $id): void
    {
        $answer = $this->transport->call('DELETE', "/v1/jobs/$id");
        if ($answer->status === 404 && $answer->isRepeated) {
            return; // deleted by the try whose answer was lost
        }
        $this->expect($answer);
    }

    /**
     * Cancel a job. One that runs is interrupted within a second, and is not cancelled yet when this returns: see its
     * `cancel_requested`, and wait() or `wait`.
     *
     * @param float $wait seconds to wait for the end of one that runs, at most 60
     * @return Job
     */
    public function cancel(int $id, ?string $reason = null, float $wait = 0): array
    {
        $query = $wait > 0 ? '?wait=' . self::seconds($wait) : '';
        $body = $reason === null ? null : Json::encode(['reason' => $reason]);
        /** @var Job $job */
        $job = $this->ask('POST', "/v1/jobs/$id/cancel$query", $body, patience: $wait);

        return $job;
    }

    /**
     * Run a final job again, perhaps with changes.
     *
     * @param array<string, mixed> $changes as in update()
     * @return Job
     */
    public function retry(int $id, array $changes = []): array
    {
        $body = $changes === [] ? null : Json::encode(Json::job($changes));
        /** @var Job $job */
        $job = $this->ask('POST', "/v1/jobs/$id/retry", $body, isRepeatable: false);

        return $job;
    }

    /**
     * Make a scheduled job available now.
     *
     * @return Job
     */
    public function run(int $id): array
    {
        $answer = $this->transport->call('POST', "/v1/jobs/$id/run");
        if ($answer->status === 409 && $answer->isRepeated) {
            return $this->get($id); // it has started since the try whose answer was lost
        }
        /** @var Job $job */
        $job = $this->expect($answer)->members();

        return $job;
    }

    // ---- Changing many ---------------------------------------------------------------------------------------------

    /**
     * Cancel all jobs that a filter matches; [] is all jobs. It goes on in the background: waitForOperation().
     *
     * @param Filter $filter as in jobs(), and `ids` (a list)
     * @param bool $dryRun only count them
     * @return Bulk
     */
    public function cancelJobs(array $filter, bool $dryRun = false, ?string $reason = null): array
    {
        return $this->bulk('cancel', $filter, $dryRun, ['reason' => $reason]);
    }

    /**
     * Run all final jobs again that a filter matches, perhaps with changes (as in update()).
     *
     * @param Filter $filter
     * @param array<string, mixed> $changes
     * @return Bulk
     */
    public function retryJobs(array $filter, bool $dryRun = false, array $changes = []): array
    {
        return $this->bulk('retry', $filter, $dryRun, ['changes' => $changes === [] ? null : Json::job($changes)]);
    }

    /**
     * Delete all final jobs that a filter matches.
     *
     * @param Filter $filter
     * @return Bulk
     */
    public function deleteJobs(array $filter, bool $dryRun = false): array
    {
        return $this->bulk('delete', $filter, $dryRun, []);
    }

    /** @return Operation */
    public function operation(int $id): array
    {
        /** @var Operation $operation */
        $operation = $this->ask('GET', "/v1/operations/$id");

        return $operation;
    }

    /**
     * Wait until an operation has ended, well or not: see its `state`.
     *
     * @param ?float $timeout seconds; null waits as long as it takes
     * @return Operation
     * @throws TimedOut
     */
    public function waitForOperation(int $id, ?float $timeout = null): array
    {
        $hasEnded = static fn (array $operation): bool => $operation['state'] !== 'running';
        /** @var Operation $operation */
        $operation = $this->poll("/v1/operations/$id", "Operation $id", $timeout, $hasEnded);

        return $operation;
    }

    /** @return Operation */
    public function cancelOperation(int $id): array
    {
        /** @var Operation $operation */
        $operation = $this->ask('POST', "/v1/operations/$id/cancel");

        return $operation;
    }

    // ---- Events ----------------------------------------------------------------------------------------------------

    /**
     * What happens from now on, for ever: connects again when the connection breaks, without a gap where the server
     * still knows what came in between, else with an event of type `reset`.
     *
     * @param Filter $filter type (of event; one, or a list), state, queue, context
     * @param ?string $lastEventId go on after this event
     * @return \Generator<int, Event>
     */
    public function events(array $filter = [], ?string $lastEventId = null): \Generator
    {
        yield from $this->follow('/v1/events' . Json::query($filter), $lastEventId, static fn (): bool => false);
    }

    /**
     * A job as it is (type `job`), then what happens to it until it is final.
     *
     * @return \Generator<int, Event>
     */
    public function jobEvents(int $id): \Generator
    {
        $isLast = static fn (array $event): bool => $event['type'] === 'job.deleted'
            || in_array($event['data']['state'] ?? null, self::FINAL_STATES, true);
        yield from $this->follow("/v1/jobs/$id/events", null, $isLast);
    }

    // ---- For targets that go on after their answer (see Handler) ---------------------------------------------------

    /**
     * Say that a job is still worked on.
     *
     * @param int|float|null $timeout seconds until the next sign of life is due
     * @return Heartbeat
     * @throws Conflict when the job is not this claim's any more
     */
    public function heartbeat(int $id, int $claim, int|float|null $timeout = null, ?string $message = null): array
    {
        $body = Json::encode((object) self::given(['timeout' => $timeout, 'message' => $message]));
        /** @var Heartbeat $heartbeat */
        $heartbeat = $this->ask('POST', "/v1/jobs/$id/attempts/$claim/heartbeat", $body);

        return $heartbeat;
    }

    /**
     * Say that a job has ended well.
     *
     * @return Job
     * @throws Conflict when the job is not this claim's any more
     */
    public function complete(int $id, int $claim, ?string $output = null, ?int $exitCode = null): array
    {
        return $this->report($id, $claim, 'complete', ['output' => $output, 'exit_code' => $exitCode]);
    }

    /**
     * Say that an attempt has failed; whether another follows is up to the job's `retry`.
     *
     * @param int|float|null $retryAfter seconds; the next attempt starts no sooner
     * @return Job
     * @throws Conflict when the job is not this claim's any more
     */
    public function fail(
        int $id,
        int $claim,
        ?string $error = null,
        ?string $output = null,
        ?int $exitCode = null,
        int|float|null $retryAfter = null,
    ): array {
        return $this->report($id, $claim, 'fail', [
            'error' => $error,
            'output' => $output,
            'exit_code' => $exitCode,
            'retry_after' => $retryAfter,
        ]);
    }

    // ---- How it is done --------------------------------------------------------------------------------------------

    /**
     * @param array<string, string> $headers
     * @return array<string, mixed>
     */
    private function ask(
        string $method,
        string $path,
        ?string $body = null,
        array $headers = [],
        bool $isRepeatable = true,
        float $patience = 0,
    ): array {
        $answer = $this->transport->call($method, $path, $body, $headers, $isRepeatable, $patience);

        return $this->expect($answer)->members();
    }

    private function expect(Answer $answer): Answer
    {
        return $answer->status >= 200 && $answer->status < 300 ? $answer : throw $answer->problem();
    }

    /**
     * @param \Closure(array<string, mixed>): bool $isDone
     * @return array<string, mixed>
     */
    private function poll(string $path, string $what, ?float $timeout, \Closure $isDone): array
    {
        $deadline = $timeout === null ? INF : Clock::now() + $timeout;
        for ($pause = 0.05;; $pause = min(2 * $pause, 1.0)) {
            $askedAt = Clock::now();
            $wait = max(0.0, min(self::LONGEST_WAIT, $deadline - $askedAt));
            $found = $this->ask('GET', "$path?wait=" . self::seconds($wait), patience: $wait);
            if ($isDone($found)) {
                return $found;
            }
            if (Clock::now() >= $deadline) {
                throw new TimedOut("$what is not at its end after $timeout s", $found);
            }
            if (Clock::now() - $askedAt < $wait / 2) { // a server that is about to stop does not wait
                Clock::sleep(min($pause, $deadline - Clock::now()));
            }
        }
    }

    /**
     * @param Filter $filter
     * @param array<string, mixed> $more
     * @return Bulk
     */
    private function bulk(string $action, array $filter, bool $dryRun, array $more): array
    {
        $body = Json::encode(['filter' => Json::filter($filter), 'dry_run' => $dryRun] + self::given($more));
        /** @var Bulk $bulk */
        $bulk = $this->ask('POST', "/v1/jobs:$action", $body, isRepeatable: $dryRun || $action !== 'retry');

        return $bulk;
    }

    /**
     * @param array<string, mixed> $result
     * @return Job
     */
    private function report(int $id, int $claim, string $what, array $result): array
    {
        $body = Json::encode((object) self::given($result));
        $answer = $this->transport->call('POST', "/v1/jobs/$id/attempts/$claim/$what", $body);
        if ($answer->status === 409 && $answer->isRepeated && $this->isTold($id, $claim, $what)) {
            return $this->get($id);
        }
        /** @var Job $job */
        $job = $this->expect($answer)->members();

        return $job;
    }

    /** Whether an attempt ended as we have said, in a try whose answer was lost. */
    private function isTold(int $id, int $claim, string $what): bool
    {
        foreach ($this->attempts($id) as $attempt) {
            if ($attempt['claim'] === $claim) {
                return $attempt['outcome'] === ($what === 'complete' ? 'succeeded' : 'failed');
            }
        }

        return false;
    }

    /**
     * @param \Closure(Event): bool $isLast
     * @return \Generator<int, Event>
     */
    private function follow(string $path, ?string $lastEventId, \Closure $isLast): \Generator
    {
        $failures = 0;
        while (true) {
            $problem = null;
            try {
                foreach ($this->transport->events($path, $lastEventId) as $event) {
                    $failures = 0;
                    $lastEventId = $event['id'] ?? $lastEventId;
                    yield $event;
                    if ($isLast($event)) {
                        return;
                    }
                }
            } catch (Unreachable | Unavailable $problem) {
            }
            $problem ??= new Unreachable("The server has ended the events of $path.");
            $this->transport->pauseAfter($failures++, $problem);
        }
    }

    /**
     * The jobs as JSON, in parts that the server takes.
     *
     * @param iterable<array<string, mixed>> $jobs
     * @return \Generator<int, list<string>>
     */
    private static function parts(iterable $jobs): \Generator
    {
        $lines = [];
        $bytes = 0;
        foreach ($jobs as $job) {
            $line = Json::encode(Json::job($job));
            if ($lines !== [] && (count($lines) >= self::BATCH_JOBS || $bytes + strlen($line) > self::BATCH_BYTES)) {
                yield $lines;
                [$lines, $bytes] = [[], 0];
            }
            $lines[] = $line;
            $bytes += strlen($line) + 1;
        }
        if ($lines !== []) {
            yield $lines;
        }
    }

    /**
     * @param array<string, mixed> $options
     * @return array<string, mixed> those that are not null
     */
    private static function given(array $options): array
    {
        return array_filter($options, static fn (mixed $value): bool => $value !== null);
    }

    /**
     * @param array<array-key, mixed> $job
     * @return array<string, mixed>
     */
    private static function members(array $job): array
    {
        $members = [];
        foreach ($job as $name => $value) {
            if (is_int($name)) {
                throw new \ArgumentCountError('The members of a job are named arguments, such as priority: 800.');
            }
            $members[$name] = $value;
        }

        return $members;
    }

    private static function newKey(): string
    {
        return bin2hex(random_bytes(16));
    }

    private static function fitsHeader(string $key): bool
    {
        return preg_match('/\A[!-~]([ -~]*[!-~])?\z/', $key) === 1;
    }

    private static function seconds(float $seconds): string
    {
        return rtrim(rtrim(number_format($seconds, 3, '.', ''), '0'), '.');
    }
}

/**
 * The other side: a script that a job requests, and that goes on working after its answer.
 *
 *     $job = QueueServer\Handler::fromRequest(new QueueServer\Client());
 *     $job->run(function (QueueServer\Handler $job): ?string {
 *         foreach ($addresses as $address) {
 *             send($address);
 *             if (!$job->heartbeat()) {
 *                 return null;           // somebody has cancelled it
 *             }
 *         }
 *         return 'all sent';             // the job's output
 *     });
 *
 * Or step by step: continueInBackground(), heartbeat() now and then, and complete() or fail().
 */
final class Handler
{
    /** Whether nothing is left to tell: the end was told, or is not ours to tell any more. */
    private bool $isSettled = false;

    /**
     * @param int $jobId X-Queue-Job-Id
     * @param int $claim X-Queue-Claim; what one claim says counts only while the job is still its own
     * @param int $attempt X-Queue-Attempt: 1 at first
     */
    public function __construct(
        private readonly Client $client,
        public readonly int $jobId,
        public readonly int $claim,
        public readonly int $attempt = 1,
    ) {
    }

    /**
     * The job that this request belongs to.
     *
     * @param ?array<array-key, mixed> $server $_SERVER
     * @throws \RuntimeException when the request was not sent by Queue Server
     */
    public static function fromRequest(Client $client, ?array $server = null): self
    {
        $server ??= $_SERVER;
        $numbers = [];
        foreach (['HTTP_X_QUEUE_JOB_ID', 'HTTP_X_QUEUE_CLAIM', 'HTTP_X_QUEUE_ATTEMPT'] as $name) {
            $text = $server[$name] ?? null;
            if (!is_string($text) || preg_match('/\A[0-9]{1,18}\z/', $text) !== 1) {
                throw new \RuntimeException('This request was not sent by Queue Server: it has no X-Queue headers.');
            }
            $numbers[] = (int) $text;
        }

        return new self($client, ...$numbers);
    }

    /**
     * Go on in the background, do the work, and tell how it ended: complete with the text that it returns, or failed
     * with what it throws. Nothing is told once a heartbeat() was false: a cancelled job stays cancelled.
     *
     * @param callable(self): (string|null|void) $work
     * @param int|float|null $heartbeat as in continueInBackground()
     */
    public function run(callable $work, int|float|null $heartbeat = null): void
    {
        $this->continueInBackground($heartbeat);
        try {
            $output = $work($this);
            $this->completeIfOurs(is_string($output) ? $output : null);
        } catch (\Throwable $error) {
            $this->failQuietly(get_class($error) . ': ' . $error->getMessage());
            throw $error;
        }
    }

    /**
     * Answer "202, I go on" and keep running: nothing that is printed from here on reaches anybody. Send a heartbeat
     * at least every 60 seconds (setting heartbeat_timeout), or say a longer time here. A PHP error that ends the
     * script fails the job at once.
     *
     * With PHP-FPM, the process stays busy until the script ends: mind pm.max_children.
     *
     * @param int|float|null $heartbeat seconds until a sign of life is due
     */
    public function continueInBackground(int|float|null $heartbeat = null): void
    {
        if (PHP_SAPI !== 'cli' && headers_sent($file, $line)) {
            throw new \LogicException("continueInBackground() comes too late: output was sent at $file:$line.");
        }
        ignore_user_abort(true);
        set_time_limit(0);
        register_shutdown_function($this->failAfterFatalError(...));
        $this->sendAnswer($heartbeat);
    }

    /**
     * Say that the work goes on. A server that does not answer is no reason to stop: it may be back for the next one.
     *
     * @param int|float|null $timeout seconds until the next one is due
     * @param ?string $message how far it is, for people
     * @return bool whether to go on: false when the job was cancelled, or is not ours any more
     */
    public function heartbeat(int|float|null $timeout = null, ?string $message = null): bool
    {
        try {
            $message = $message === null ? null : Json::line($message);

            $isOver = $this->client->heartbeat($this->jobId, $this->claim, $timeout, $message)['cancel_requested'];
        } catch (Conflict | NotFound) {
            $isOver = true;
        } catch (Unreachable | Unavailable) {
            $isOver = false;
        }
        $this->isSettled = $this->isSettled || $isOver;

        return !$isOver;
    }

    /**
     * The work is done.
     *
     * @param ?string $output kept as the job's output; a byte that is not UTF-8 becomes a mark
     * @throws Conflict when the job is not ours any more
     */
    public function complete(?string $output = null, ?int $exitCode = null): void
    {
        $output = $output === null ? null : Json::text($output);
        $this->client->complete($this->jobId, $this->claim, $output, $exitCode);
        $this->isSettled = true;
    }

    /**
     * The work failed.
     *
     * @param ?string $error what went wrong; kept as one line of at most 1000 characters
     * @param ?string $output as in complete()
     * @param int|float|null $retryAfter seconds; the next attempt, where the job has one, starts no sooner
     * @throws Conflict when the job is not ours any more
     */
    public function fail(
        ?string $error = null,
        ?string $output = null,
        ?int $exitCode = null,
        int|float|null $retryAfter = null,
    ): void {
        $error = $error === null ? null : Json::line($error);
        $output = $output === null ? null : Json::text($output);
        $this->client->fail($this->jobId, $this->claim, $error, $output, $exitCode, $retryAfter);
        $this->isSettled = true;
    }

    private function sendAnswer(int|float|null $heartbeat): void
    {
        if (function_exists('session_status') && session_status() === PHP_SESSION_ACTIVE) {
            session_write_close(); // or the next request of the session waits for this one
        }
        while (ob_get_level() > 0 && @ob_end_clean()) {
        }
        http_response_code(202);
        header('X-Queue-Continue: true');
        if ($heartbeat !== null) {
            header("X-Queue-Heartbeat: $heartbeat");
        }
        if (function_exists('fastcgi_finish_request')) {
            fastcgi_finish_request();
        } elseif (function_exists('litespeed_finish_request')) {
            litespeed_finish_request();
        } else {
            ini_set('zlib.output_compression', '0');
            header('Content-Length: 0');
            header('Connection: close');
            flush();
        }
        ob_start(static fn (): string => '', 4096); // what is printed now would come after the answer's end
    }

    private function completeIfOurs(?string $output): void
    {
        try {
            $this->isSettled || $this->complete($output);
        } catch (Conflict) {
            $this->isSettled = true; // it has been cancelled, or given to another claim
        }
    }

    private function failAfterFatalError(): void
    {
        $error = error_get_last();
        $fatal = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
        if ($error !== null && ($error['type'] & $fatal) !== 0) {
            $this->failQuietly(strtok($error['message'], "\n") ?: 'fatal error');
        }
    }

    /** Where nobody is left to be told that it did not work; the missing heartbeat ends the job then. */
    private function failQuietly(string $message): void
    {
        if ($this->isSettled) {
            return;
        }
        $this->isSettled = true;
        try {
            $this->fail($message);
        } catch (QueueServerException) {
        }
    }
}

/**
 * The signature of a request that a Queue Server with a signing secret has sent (https://www.standardwebhooks.com).
 *
 *     try {
 *         QueueServer\Signature::verifyRequest(getenv('QUEUE_SIGNING_SECRET'));
 *     } catch (QueueServer\InvalidSignature) {
 *         http_response_code(401);
 *         exit;
 *     }
 */
final class Signature
{
    private const PREFIX = 'whsec_';
    private const VERSION = 'v1,';

    /**
     * Check a request. One of several secrets and one of several signatures is enough, as there are while a secret is
     * being replaced. A request that was signed more than `tolerance` seconds ago, or so far in the future, may be an
     * old one sent again.
     *
     * @param array<array-key, mixed> $headers by name, in any case; or $_SERVER
     * @param string $body as it came, byte for byte: file_get_contents('php://input')
     * @param string|list<string> $secret whsec_…
     * @param ?int $now the time in seconds, for tests
     * @return string the message's id, the same whenever a job is tried again
     * @throws InvalidSignature when the request is not genuine
     */
    public static function verify(
        array $headers,
        string $body,
        #[\SensitiveParameter] string|array $secret,
        int $tolerance = 300,
        ?int $now = null,
    ): string {
        $given = array_change_key_case($headers);
        $id = self::header($given, 'webhook-id');
        $timestamp = self::header($given, 'webhook-timestamp');
        $signatures = explode(' ', self::header($given, 'webhook-signature'));
        self::checkAge($timestamp, $tolerance, $now ?? time());
        $isGenuine = false;
        foreach (self::keys($secret) as $key) {
            $expected = self::VERSION . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
            foreach ($signatures as $signature) {
                $isGenuine = hash_equals($expected, $signature) || $isGenuine;
            }
        }
        if (!$isGenuine) {
            throw new InvalidSignature('No signature of this request was made with the secret.');
        }

        return $id;
    }

    /**
     * Check the request that this script answers; see verify().
     *
     * @param string|list<string> $secret
     * @throws InvalidSignature
     */
    public static function verifyRequest(#[\SensitiveParameter] string|array $secret, int $tolerance = 300): string
    {
        return self::verify($_SERVER, (string) file_get_contents('php://input'), $secret, $tolerance);
    }

    /** @param array<array-key, mixed> $headers */
    private static function header(array $headers, string $name): string
    {
        $value = $headers[$name] ?? $headers['http_' . strtr($name, '-', '_')] ?? '';
        if (!is_string($value) || $value === '') {
            throw new InvalidSignature("The request has no header $name: it is not signed.");
        }

        return $value;
    }

    private static function checkAge(string $timestamp, int $tolerance, int $now): void
    {
        if (preg_match('/\A[0-9]{1,12}\z/', $timestamp) !== 1) {
            throw new InvalidSignature('The header webhook-timestamp is no time in seconds.');
        }
        $age = $now - (int) $timestamp;
        if (abs($age) > $tolerance) {
            $when = abs($age) . ' s ' . ($age > 0 ? 'ago' : 'in the future');
            throw new InvalidSignature("The request was signed $when; $tolerance s are allowed.");
        }
    }

    /**
     * @param string|list<string> $secret
     * @return non-empty-list<string>
     */
    private static function keys(#[\SensitiveParameter] string|array $secret): array
    {
        $keys = [];
        foreach ((array) $secret as $text) {
            $text = trim($text);
            $coded = str_starts_with($text, self::PREFIX) ? substr($text, strlen(self::PREFIX)) : $text;
            $key = base64_decode($coded, true);
            if ($key === false || $key === '') {
                throw new \InvalidArgumentException('A signing secret is whsec_ and base64.');
            }
            $keys[] = $key;
        }
        if ($keys === []) {
            throw new \InvalidArgumentException('There is no secret to check signatures with.');
        }

        return $keys;
    }
}

/** The root of all that goes wrong with a Queue Server; also thrown itself for what has no class of its own. */
class QueueServerException extends \RuntimeException
{
    /** @var list<int> the jobs of the parts that addMany() had added before */
    public array $added = [];

    /**
     * @param int $status of the answer; 0 where there is none
     * @param array<string, string> $errors each thing that is wrong: JSON pointer => what
     */
    public function __construct(
        string $message,
        public readonly int $status = 0,
        public readonly array $errors = [],
        ?\Throwable $previous = null,
    ) {
        parent::__construct($message, $status, $previous);
    }
}

/** What was sent is not valid; `errors` has every mistake, such as `/command/url` => "must start with http://…". */
final class InvalidJob extends QueueServerException
{
    /** @internal the same for a part of a batch that starts with the job of this number */
    public function inPartFrom(int $first): self
    {
        if ($first === 0) {
            return $this;
        }
        $errors = [];
        foreach ($this->errors as $pointer => $detail) {
            $number = static fn (array $found): string => '/' . ((int) $found[1] + $first);
            $errors[(string) preg_replace_callback('#\A/(\d+)#', $number, $pointer)] = $detail;
        }

        return new self($this->getMessage() . " (counted from job $first)", $this->status, $errors, $this);
    }
}

/** The token is missing or not enough, or a setting forbids it (such as `exec`, which is off by default). */
final class NotAllowed extends QueueServerException
{
}

/** There is no such job, attempt or operation. */
final class NotFound extends QueueServerException
{
}

/** The job is not in a state for what was asked, or is not this claim's any more. */
final class Conflict extends QueueServerException
{
}

/** The job that was added with this idempotency key has been deleted since; it is not added again. */
final class JobDeleted extends QueueServerException
{
}

/** What was sent is larger than the server's setting max_body. */
final class TooLarge extends QueueServerException
{
}

/** This idempotency key was used for a job that was not the same. */
final class KeyMismatch extends QueueServerException
{
}

/** The server cannot take it now: nothing was done (status 429, 503), or a proxy got no answer from it (502, 504). */
final class Unavailable extends QueueServerException
{
    /**
     * @param array<string, string> $errors
     * @param ?float $retryAfter seconds after which to try again, where the server said so
     */
    public function __construct(string $message, int $status, array $errors, public readonly ?float $retryAfter)
    {
        parent::__construct($message, $status, $errors);
    }
}

/** A request is not signed, not with this secret, or not lately. */
final class InvalidSignature extends QueueServerException
{
}

/** There was no answer. */
final class Unreachable extends QueueServerException
{
    /** @param bool $mayBeDone whether the request was sent, and so may have been carried out */
    public function __construct(string $message, public readonly bool $mayBeDone = false)
    {
        parent::__construct($message);
    }
}

/** What was waited for has not come. */
final class TimedOut extends QueueServerException
{
    /** @param array<string, mixed> $last the job or operation as it was seen last */
    public function __construct(string $message, public readonly array $last)
    {
        parent::__construct($message);
    }
}

/** @internal What is sent and what comes, as text. */
final class Json
{
    /** Levels of nesting; more than the server takes. */
    private const DEPTH = 2048;

    private const FLAGS = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE
        | JSON_PRESERVE_ZERO_FRACTION;

    private const COMMANDS = ['command', 'callback_done', 'callback_failed'];
    private const OBJECTS_OF_A_JOB = ['retry', 'tags'];
    private const OBJECTS_OF_A_COMMAND = ['params', 'headers', 'env'];

    public static function encode(mixed $value): string
    {
        try {
            return json_encode($value, self::FLAGS, self::DEPTH);
        } catch (\JsonException $error) {
            $hint = $error->getCode() === JSON_ERROR_UTF8 ? '; send bytes that are not UTF-8 as body_base64' : '';
            throw new InvalidJob("This can't be written as JSON: {$error->getMessage()}$hint", 0, [], $error);
        }
    }

    /** @throws \JsonException */
    public static function decode(string $text): mixed
    {
        return json_decode($text, true, self::DEPTH, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
    }

    /** The text with a mark for each byte that is not UTF-8. */
    public static function text(string $text): string
    {
        $json = json_encode($text, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);

        return (string) json_decode($json, false, 2, JSON_THROW_ON_ERROR);
    }

    /** The text as the API takes a reason: one line, at most 1000 characters. */
    public static function line(string $text): string
    {
        $line = trim((string) preg_replace('/[\s\p{Cc}\p{Zl}\p{Zp}]+/u', ' ', self::text($text)));

        return preg_match('/\A.{999}(?=..)/u', $line, $start) === 1 ? "{$start[0]}…" : $line;
    }

    /**
     * A job, or changes of one, with {} where PHP has [], and times as the API wants them.
     *
     * @param array<string, mixed> $job
     */
    public static function job(array $job): \stdClass
    {
        foreach (self::COMMANDS as $name) {
            if (is_array($job[$name] ?? null)) {
                $job[$name] = self::withObjects($job[$name], self::OBJECTS_OF_A_COMMAND);
            }
        }

        return self::withObjects(array_map(self::time(...), $job), self::OBJECTS_OF_A_JOB);
    }

    /** @param array<string, mixed> $filter */
    public static function filter(array $filter): \stdClass
    {
        return self::withObjects(array_map(self::time(...), $filter), ['tags']);
    }

    /**
     * Parameters as a query with its question mark; null is left out, lists are comma-separated, tags are tag.NAME.
     *
     * @param array<string, mixed> $parameters
     */
    public static function query(array $parameters): string
    {
        $tags = $parameters['tags'] ?? [];
        unset($parameters['tags']);
        foreach (is_array($tags) ? $tags : [] as $name => $value) {
            $parameters["tag.$name"] = $value;
        }
        $pairs = [];
        foreach ($parameters as $name => $value) {
            if ($value !== null) {
                $pairs[] = rawurlencode((string) $name) . '=' . rawurlencode(self::parameter($value));
            }
        }

        return $pairs === [] ? '' : '?' . implode('&', $pairs);
    }

    /**
     * @param array<array-key, mixed> $members
     * @param list<string> $names of members that are objects in the API
     */
    private static function withObjects(array $members, array $names): \stdClass
    {
        foreach ($names as $name) {
            if (is_array($members[$name] ?? null)) {
                $members[$name] = (object) $members[$name];
            }
        }

        return (object) $members;
    }

    private static function time(mixed $value): mixed
    {
        if (!$value instanceof \DateTimeInterface) {
            return $value;
        }
        $utc = \DateTimeImmutable::createFromInterface($value)->setTimezone(new \DateTimeZone('UTC'));

        return $utc->format('Y-m-d\TH:i:s.u\Z');
    }

    private static function parameter(mixed $value): string
    {
        $value = self::time($value);
        if (is_array($value)) {
            return implode(',', array_map(self::parameter(...), $value));
        }
        if (is_bool($value)) {
            return $value ? 'true' : 'false';
        }

        if (!is_scalar($value)) {
            throw new \InvalidArgumentException('A filter has texts, numbers, times and lists of them.');
        }

        return (string) $value;
    }
}

/** @internal Requests that are repeated where that helps and does no harm. */
final class Transport
{
    /** Seconds that the server may ask us to wait before the next try; where it asks for more, the caller decides. */
    private const LONGEST_RETRY_AFTER = 15.0;

    private const LONGEST_PAUSE = 5.0;

    /** Seconds without a byte after which a stream of events counts as broken; the server sends something every 15. */
    private const LONGEST_SILENCE = 45.0;

    public function __construct(
        private readonly Address $address,
        #[\SensitiveParameter] private readonly ?string $token,
        private readonly float $timeout,
        private readonly float $connectTimeout,
        private readonly int $retries,
    ) {
        if ($token !== null && preg_match('/\A[!-~]+\z/', $token) !== 1) {
            throw new \InvalidArgumentException('The token must be visible ASCII characters.');
        }
    }

    /**
     * One request, repeated after no answer and after "try again later".
     *
     * @param array<string, string> $headers
     * @param bool $isRepeatable whether doing it twice is as good as once; else it is repeated only while it was surely
     *     not carried out
     * @param float $patience seconds that the server may take for its answer on top of `timeout`
     */
    public function call(
        string $method,
        string $path,
        ?string $body = null,
        array $headers = [],
        bool $isRepeatable = true,
        float $patience = 0,
    ): Answer {
        $mayBeDone = false;
        for ($tries = 0;; $tries++) {
            try {
                $answer = $this->exchange($method, $path, $body, $headers, $patience)->answer($mayBeDone);
                if (!in_array($answer->status, [429, 502, 503, 504], true)) {
                    return $answer;
                }
                $problem = $answer->problem();
                $isDoubtful = $answer->status === 502 || $answer->status === 504;
            } catch (Unreachable $problem) {
                $isDoubtful = $problem->mayBeDone;
            }
            if ($isDoubtful && !$isRepeatable) {
                throw $problem;
            }
            $mayBeDone = $mayBeDone || $isDoubtful;
            $this->pauseAfter($tries, $problem);
        }
    }

    /** An answer whose body is read while it comes; not repeated. */
    public function open(string $path, ?string $lastEventId = null): Exchange
    {
        $headers = $lastEventId === null ? [] : ['Last-Event-ID' => $lastEventId];
        $exchange = $this->exchange('GET', $path, null, $headers, 0);

        return $exchange->status === 200 ? $exchange : throw $exchange->answer()->problem();
    }

    /**
     * Server-sent events until the connection ends. A comment is nothing, and so is an event without data.
     *
     * @return \Generator<int, array{id: ?string, type: string, data: array<string, mixed>}>
     */
    public function events(string $path, ?string $lastEventId): \Generator
    {
        $fields = [];
        foreach ($this->lines($this->open($path, $lastEventId)) as $line) {
            if ($line !== '') {
                [$name, $value] = explode(':', $line, 2) + [1 => ''];
                $value = str_starts_with($value, ' ') ? substr($value, 1) : $value;
                $fields[$name] = $name === 'data' && isset($fields['data']) ? "{$fields['data']}\n$value" : $value;
                continue;
            }
            if (isset($fields['data'])) {
                $data = json_decode($fields['data'], true, 512, JSON_BIGINT_AS_STRING);
                /** @var array<string, mixed> $members */
                $members = is_array($data) ? $data : [];
                yield ['id' => $fields['id'] ?? null, 'type' => $fields['event'] ?? 'message', 'data' => $members];
            }
            $fields = [];
        }
    }

    /** Sleep before the next try, or throw the problem when there is none. */
    public function pauseAfter(int $tries, QueueServerException $problem): void
    {
        $retryAfter = $problem instanceof Unavailable ? $problem->retryAfter ?? 0.0 : 0.0;
        if ($tries >= $this->retries || $retryAfter > self::LONGEST_RETRY_AFTER) {
            throw $problem;
        }
        $spread = random_int(100, 200) / 100;
        Clock::sleep(max($retryAfter, min(0.1 * 2 ** $tries, self::LONGEST_PAUSE) * $spread));
    }

    /** @param array<string, string> $headers */
    private function exchange(string $method, string $path, ?string $body, array $headers, float $patience): Exchange
    {
        $headers['User-Agent'] = 'QueueServer-PHP/' . Client::VERSION;
        $headers['Accept'] = '*/*';
        $headers['Accept-Encoding'] = 'identity';
        if ($this->token !== null) {
            $headers['Authorization'] = "Bearer {$this->token}";
        }
        if ($body !== null) {
            $headers += ['Content-Type' => 'application/json'];
        }
        if ($method !== 'GET') {
            $headers['Content-Length'] = (string) strlen($body ?? '');
        }
        $exchange = new Exchange($this->address, $this->connectTimeout, $this->timeout + $patience);
        $exchange->send($method, $path, $headers, $body ?? '');

        return $exchange;
    }

    /** @return \Generator<int, string> */
    private function lines(Exchange $exchange): \Generator
    {
        $rest = '';
        foreach ($exchange->pieces(self::LONGEST_SILENCE) as $piece) {
            $lines = explode("\n", $rest . $piece);
            $rest = array_pop($lines);
            foreach ($lines as $line) {
                yield rtrim($line, "\r");
            }
        }
    }
}

/** @internal What a server answered, whole. */
final class Answer
{
    /**
     * @param array<string, string> $headers by lower-case name
     * @param bool $isRepeated whether an earlier try, of which we got no answer, may have been carried out
     */
    public function __construct(
        public readonly string $request,
        public readonly int $status,
        public readonly array $headers,
        public readonly string $body,
        public readonly bool $isRepeated = false,
    ) {
    }

    /**
     * The members of the JSON object that the body is.
     *
     * @return array<string, mixed>
     */
    public function members(): array
    {
        $members = $this->decoded();
        if (!is_array($members)) {
            throw new QueueServerException($this->summary(), $this->status);
        }

        /** @var array<string, mixed> $members */
        return $members;
    }

    /** The exception for an answer that is not what was hoped for. */
    public function problem(): QueueServerException
    {
        [$message, $errors] = $this->details();

        return match ($this->status) {
            400 => new InvalidJob($message, $this->status, $errors),
            401, 403 => new NotAllowed($message, $this->status, $errors),
            404 => new NotFound($message, $this->status, $errors),
            409 => new Conflict($message, $this->status, $errors),
            410 => new JobDeleted($message, $this->status, $errors),
            413 => new TooLarge($message, $this->status, $errors),
            422 => new KeyMismatch($message, $this->status, $errors),
            429, 502, 503, 504 => new Unavailable($message, $this->status, $errors, $this->retryAfter()),
            default => new QueueServerException($message, $this->status, $errors),
        };
    }

    /** @return array{string, array<string, string>} one sentence, and pointer => what is wrong there */
    private function details(): array
    {
        $problem = $this->decoded();
        if (!is_array($problem) || !is_string($problem['detail'] ?? null)) {
            return [$this->summary(), []];
        }
        $errors = [];
        foreach (is_array($problem['errors'] ?? null) ? $problem['errors'] : [] as $error) {
            if (is_array($error) && is_string($error['pointer'] ?? null) && is_string($error['detail'] ?? null)) {
                $earlier = $errors[$error['pointer']] ?? null;
                $errors[$error['pointer']] = ($earlier === null ? '' : "$earlier; ") . $error['detail'];
            }
        }

        return [$problem['detail'], $errors];
    }

    private function decoded(): mixed
    {
        try {
            return Json::decode($this->body);
        } catch (\JsonException) {
            return null;
        }
    }

    /** One sentence about an answer that does not explain itself. */
    private function summary(): string
    {
        $summary = "{$this->request} was answered {$this->status}";
        if ($this->status >= 300 && $this->status < 400 && isset($this->headers['location'])) {
            return "$summary: it points to {$this->headers['location']}; is the server's URL right?";
        }
        $text = trim((string) preg_replace('/\s+/', ' ', Json::text(substr($this->body, 0, 200))));

        return $text === '' ? "$summary without a body" : "$summary: $text";
    }

    private function retryAfter(): ?float
    {
        $text = $this->headers['retry-after'] ?? '';
        if (is_numeric($text)) {
            return max(0.0, (float) $text);
        }
        $time = strtotime($text);

        return $time === false ? null : max(0.0, (float) ($time - time()));
    }
}

/** @internal Where the server is. */
final class Address
{
    public readonly string $url;
    public readonly bool $isTls;
    public readonly string $host;
    public readonly string $prefix;
    public readonly string $socket;

    /** @param array<string, mixed> $ssl */
    public function __construct(string $url, public readonly array $ssl)
    {
        $parts = parse_url($url);
        $scheme = strtolower((string) ($parts['scheme'] ?? ''));
        $host = $parts['host'] ?? '';
        $isPlain = is_array($parts) && array_diff(array_keys($parts), ['scheme', 'host', 'port', 'path']) === [];
        $isHttp = in_array($scheme, ['http', 'https'], true) && $host !== '';
        if (!$isPlain || !$isHttp || preg_match('/[\x00-\x20]/', $url) === 1) {
            throw new \InvalidArgumentException("The server's URL must be like http://127.0.0.1:1337, not \"$url\".");
        }
        $this->url = $url;
        $this->isTls = $scheme === 'https';
        $this->host = $host . (isset($parts['port']) ? ":{$parts['port']}" : '');
        $this->prefix = rtrim($parts['path'] ?? '', '/');
        $this->socket = ($this->isTls ? 'tls' : 'tcp') . "://$host:" . ($parts['port'] ?? ($this->isTls ? 443 : 80));
    }

    /** @return array<string, array<string, mixed>> */
    public function options(): array
    {
        $name = trim((string) preg_replace('/:\d+\z/', '', $this->host), '[]');

        return ['socket' => ['tcp_nodelay' => true], 'ssl' => $this->ssl + ['peer_name' => $name]];
    }
}

/** @internal One request and its answer (HTTP/1.1), on a connection of its own. */
final class Exchange
{
    private const HEAD_LIMIT = 65_536;
    private const PIECE = 65_536;

    public int $status = 0;

    /** @var array<string, string> by lower-case name */
    private array $headers = [];

    private string $request = '';
    private string $buffer = '';
    private float $deadline;

    /** Seconds that one read may take once there is no deadline. */
    private float $patience = INF;

    /** @var resource */
    private $socket;

    /** Connect; `timeout` is for all from here to the last byte. */
    public function __construct(private readonly Address $address, float $connectTimeout, float $timeout)
    {
        $this->deadline = Clock::now() + $timeout;
        $this->socket = $this->connect(min($connectTimeout, $timeout));
    }

    /**
     * Send the request, and read the head of the answer.
     *
     * @param array<string, string> $headers
     */
    public function send(string $method, string $path, array $headers, string $body): void
    {
        $this->request = "$method $path";
        $lines = ["$method {$this->address->prefix}$path HTTP/1.1"];
        foreach (['Host' => $this->address->host, 'Connection' => 'close'] + $headers as $name => $value) {
            $lines[] = "$name: $value";
        }
        if (preg_match('/[\r\n\x00]/', implode('', $lines)) === 1) {
            throw new \InvalidArgumentException('A header or path must not have line breaks.');
        }
        $this->write(implode("\r\n", $lines) . "\r\n\r\n" . $body);
        do {
            $this->readHead();
        } while ($this->status < 200);
    }

    /** The whole answer. */
    public function answer(bool $isRepeated = false): Answer
    {
        $body = '';
        foreach ($this->rest() as $piece) {
            $body .= $piece;
        }

        return new Answer($this->request, $this->status, $this->headers, $body, $isRepeated);
    }

    /**
     * The body as it comes, without the deadline.
     *
     * @param float $patience seconds without a byte after which the connection counts as broken
     * @return \Generator<int, string>
     */
    public function pieces(float $patience): \Generator
    {
        $this->deadline = INF;
        $this->patience = $patience;
        yield from $this->rest();
    }

    /** @return resource */
    private function connect(float $timeout)
    {
        $warnings = [];
        set_error_handler(static function (int $_level, string $message) use (&$warnings): bool {
            $warnings[] = $message;

            return true;
        });
        try {
            $context = stream_context_create($this->address->options());
            $name = $this->address->socket;
            $socket = stream_socket_client($name, $_number, $reason, $timeout, STREAM_CLIENT_CONNECT, $context);
        } finally {
            restore_error_handler();
        }
        if ($socket === false) {
            $reason = $reason ?: (string) preg_replace('/\A\w+\(\): |\s+/', ' ', $warnings[0] ?? 'unknown error');
            throw new Unreachable("{$this->address->url} can't be reached: " . trim($reason));
        }

        return $socket;
    }

    private function write(string $data): void
    {
        stream_set_blocking($this->socket, $this->address->isTls); // PHP's timeout holds for writing with TLS only
        for ($sent = 0; $sent < strlen($data); $sent += $count) {
            $this->setTimeout();
            if (!$this->address->isTls) {
                [$none, $sockets] = [[], [$this->socket]];
                $seconds = (int) $this->left();
                @stream_select($none, $sockets, $none, $seconds, (int) (($this->left() - $seconds) * 1e6));
            }
            $count = @fwrite($this->socket, substr($data, $sent, self::PIECE));
            if ($count === false || ($count === 0 && feof($this->socket))) {
                break; // it was closed; perhaps there is an answer that says why
            }
        }
        stream_set_blocking($this->socket, true);
    }

    private function readHead(): void
    {
        while (($end = strpos($this->buffer, "\r\n\r\n")) === false) {
            if (strlen($this->buffer) > self::HEAD_LIMIT || !$this->read()) {
                throw $this->broken('the connection was closed before there was an answer');
            }
        }
        $lines = explode("\r\n", substr($this->buffer, 0, $end));
        $this->buffer = substr($this->buffer, $end + 4);
        if (preg_match('#\AHTTP/1\.[01] ([1-9]\d\d)#', array_shift($lines), $found) !== 1) {
            throw $this->broken('the answer is not HTTP');
        }
        $this->status = (int) $found[1];
        $this->headers = [];
        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $this->headers[strtolower($name)] = trim($value);
        }
    }

    /** @return \Generator<int, string> */
    private function rest(): \Generator
    {
        if ($this->status === 204 || $this->status === 304) {
            return;
        }
        if (strtolower($this->headers['transfer-encoding'] ?? '') === 'chunked') {
            while (($size = $this->chunkSize()) > 0) {
                yield from $this->bytes($size);
                $this->line();
            }
        } elseif (isset($this->headers['content-length'])) {
            yield from $this->bytes((int) $this->headers['content-length']);
        } else {
            do {
                yield $this->take(PHP_INT_MAX);
            } while ($this->read());
        }
    }

    /** @return \Generator<int, string> */
    private function bytes(int $count): \Generator
    {
        while ($count > 0) {
            if ($this->buffer === '' && !$this->read()) {
                throw $this->broken("the answer broke off $count bytes before its end");
            }
            $piece = $this->take($count);
            $count -= strlen($piece);
            if ($piece !== '') {
                yield $piece;
            }
        }
    }

    private function chunkSize(): int
    {
        $line = $this->line();

        return preg_match('/\A[0-9a-fA-F]{1,8}/', $line, $found) === 1
            ? (int) hexdec($found[0])
            : throw $this->broken('the answer is not HTTP');
    }

    private function line(): string
    {
        while (($end = strpos($this->buffer, "\r\n")) === false) {
            if (strlen($this->buffer) > self::HEAD_LIMIT || !$this->read()) {
                throw $this->broken('the answer broke off');
            }
        }

        return substr($this->take($end + 2), 0, -2);
    }

    private function take(int $count): string
    {
        $piece = substr($this->buffer, 0, $count);
        $this->buffer = substr($this->buffer, strlen($piece));

        return $piece;
    }

    /** Read some more into the buffer; false at the end of the connection. */
    private function read(): bool
    {
        $this->setTimeout();
        $piece = @fread($this->socket, self::PIECE);
        if ($piece !== false && $piece !== '') {
            $this->buffer .= $piece;

            return true;
        }
        if (stream_get_meta_data($this->socket)['timed_out']) {
            throw $this->broken('there was no answer in time');
        }

        return $piece !== false && !feof($this->socket);
    }

    private function setTimeout(): void
    {
        $left = $this->left();
        stream_set_timeout($this->socket, (int) $left, (int) (($left - (int) $left) * 1e6));
    }

    private function left(): float
    {
        $left = min($this->deadline - Clock::now(), $this->patience, 1e6);

        return $left > 0 ? $left : throw $this->broken('there was no answer in time');
    }

    private function broken(string $why): Unreachable
    {
        return new Unreachable("{$this->request} at {$this->address->url}: $why", true);
    }
}

/** @internal */
final class Clock
{
    /** Seconds from some point on, that go on evenly. */
    public static function now(): float
    {
        return hrtime(true) / 1e9;
    }

    public static function sleep(float $seconds): void
    {
        usleep((int) (max(0.0, $seconds) * 1e6));
    }
}
