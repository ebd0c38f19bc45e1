<?php

/**
 * Without this client, as for the first (PHP) Queue Server: one POST to /jobs/add, and that is all.
 *
 *     php first_api.php http://127.0.0.1:8080/sendmails.php
 */

declare(strict_types=1);

$server = getenv('QUEUE_SERVER_URL') ?: 'http://127.0.0.1:1337';
$job = [
    'priority' => 800,
    'context' => 'MyCoolApp',
    'command' => [
        'type' => 'http',
        'url' => $argv[1] ?? 'http://127.0.0.1:8080/sendmails.php',
        'params' => ['mailing' => 1234],
    ],
];
$options = ['http' => ['method' => 'POST', 'content' => json_encode($job)]];
$answer = json_decode(file_get_contents("$server/jobs/add", false, stream_context_create($options)));
echo "$answer->status: job $answer->job_id\n";
