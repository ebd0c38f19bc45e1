<?php

/**
 * Add a job for each line of standard input, thousands in one request, and sum up how they ended.
 *
 *     seq 1000 | php add_many.php http://127.0.0.1:8080/
 */

declare(strict_types=1);

require_once __DIR__ . '/../QueueServer.php';

$queue = QueueServer\Client::fromEnvironment();
$url = $argv[1] ?? 'http://127.0.0.1:8080/';

/** @return Generator<int, array<string, mixed>> one job after the other, so that memory holds no more than a part */
function jobs(string $url): Generator
{
    while (($line = fgets(STDIN)) !== false) {
        yield [
            'command' => ['type' => 'http', 'url' => $url, 'json' => ['recipient' => trim($line)]],
            'context' => 'newsletter',
        ];
    }
}

$ids = $queue->addMany(jobs($url));
echo count($ids), " jobs are added.\n";

$ended = ['completed' => 0, 'failed' => 0, 'cancelled' => 0];
foreach ($ids as $id) {
    $ended[$queue->wait($id)['state']]++;
}
echo "{$ended['completed']} have completed, {$ended['failed']} have failed.\n";
