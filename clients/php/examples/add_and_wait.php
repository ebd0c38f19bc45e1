<?php

/**
 * Add a job that requests a URL, wait for its end, and show what came out.
 *
 *     php add_and_wait.php http://127.0.0.1:8080/
 */

declare(strict_types=1);

require_once __DIR__ . '/../QueueServer.php';

use QueueServer\Client;
use QueueServer\InvalidJob;
use QueueServer\TimedOut;

$queue = Client::fromEnvironment(); // or new Client('http://127.0.0.1:1337', token: '…')

try {
    $job = $queue->addHttp(
        $argv[1] ?? 'http://127.0.0.1:8080/',
        params: ['mailing' => 1234],
        timeout: 20,
        priority: 800,
        retry: ['max_attempts' => 3],
    );
    echo "Job {$job['id']} is added.\n";

    $job = $queue->wait($job['id'], timeout: 60);
    echo "It has {$job['state']} with {$job['exit_code']}:\n", $queue->output($job['id']), "\n";
} catch (InvalidJob $error) {
    foreach ($error->errors as $pointer => $detail) {
        echo "$pointer $detail\n";
    }
    exit(2);
} catch (TimedOut $error) {
    echo "It is still {$error->last['state']}; I have waited long enough.\n";
    exit(7);
}
