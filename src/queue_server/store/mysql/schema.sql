-- Made from the migrations by tools/schema_mysql.py; not to be edited.

CREATE TABLE `attempt` (
  `job_id` bigint(20) NOT NULL,
  `claim_seq` bigint(20) NOT NULL,
  `number` bigint(20) NOT NULL,
  `node_id` bigint(20) NOT NULL,
  `started_at` bigint(20) NOT NULL,
  `ended_at` bigint(20) NOT NULL,
  `outcome` varchar(32) NOT NULL,
  `exit_code` bigint(20) DEFAULT NULL,
  `signal` varchar(64) DEFAULT NULL,
  `error` mediumtext DEFAULT NULL,
  `size` bigint(20) NOT NULL,
  `error_size` bigint(20) NOT NULL,
  `head` longblob NOT NULL,
  `text` longblob NOT NULL,
  `error_text` longblob NOT NULL,
  `due_at` bigint(20) DEFAULT NULL,
  `connect` bigint(20) DEFAULT NULL,
  `first_byte` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`job_id`,`claim_seq`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `audit` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `at` bigint(20) NOT NULL,
  `who` mediumtext NOT NULL,
  `token_id` bigint(20) DEFAULT NULL,
  `address` mediumtext NOT NULL,
  `action` mediumtext NOT NULL,
  `target` mediumtext NOT NULL,
  `count` bigint(20) DEFAULT NULL,
  `details` longtext NOT NULL,
  PRIMARY KEY (`id`),
  KEY `audit_at` (`at`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `job` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `state` enum('scheduled','available','running','completed','failed','cancelled') NOT NULL,
  `type` enum('http','exec') NOT NULL,
  `rank` smallint(6) NOT NULL,
  `run_at` bigint(20) NOT NULL,
  `claim_seq` bigint(20) NOT NULL DEFAULT 0,
  `attempt` bigint(20) NOT NULL DEFAULT 0,
  `refunded` bigint(20) NOT NULL DEFAULT 0,
  `losses` bigint(20) NOT NULL DEFAULT 0,
  `node_id` bigint(20) DEFAULT NULL,
  `wished_of` bigint(20) DEFAULT NULL,
  `context` varchar(255) NOT NULL,
  `created_at` bigint(20) NOT NULL,
  `claimed_at` bigint(20) DEFAULT NULL,
  `first_started_at` bigint(20) DEFAULT NULL,
  `ended_at` bigint(20) DEFAULT NULL,
  `overdue_at` bigint(20) DEFAULT NULL,
  `keep_until` bigint(20) DEFAULT NULL,
  `cancel_wished_at` bigint(20) DEFAULT NULL,
  `parent_id` bigint(20) DEFAULT NULL,
  `queue` varchar(128) NOT NULL,
  `key` varchar(255) DEFAULT NULL,
  `reason` mediumtext NOT NULL DEFAULT '',
  PRIMARY KEY (`id`),
  KEY `job_claim` (`state`,`type`,`rank`,`run_at`,`id`),
  KEY `job_due` (`state`,`run_at`,`id`),
  KEY `job_state` (`state`,`id`),
  KEY `job_ended` (`state`,`ended_at`,`id`),
  KEY `job_created` (`created_at`,`id`),
  KEY `job_node` (`node_id`,`overdue_at`,`id`),
  KEY `job_kept` (`keep_until`,`id`),
  KEY `job_overdue` (`overdue_at`,`id`),
  KEY `job_wished` (`wished_of`,`id`),
  KEY `job_parent` (`parent_id`,`id`),
  KEY `job_key` (`key`,`id`),
  KEY `job_queue` (`queue`,`id`),
  KEY `job_context` (`context`,`id`),
  KEY `job_exec` (`type`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `kept` (
  `only` tinyint(4) NOT NULL,
  `revision` bigint(20) NOT NULL,
  PRIMARY KEY (`only`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `message` (
  `node_id` bigint(20) NOT NULL,
  `number` bigint(20) NOT NULL,
  `sent_at` bigint(20) NOT NULL,
  `body` longblob NOT NULL,
  PRIMARY KEY (`node_id`,`number`),
  KEY `message_sent` (`sent_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `node` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `name` varchar(255) NOT NULL,
  `slots` bigint(20) NOT NULL,
  `started_at` bigint(20) NOT NULL,
  `beat_at` bigint(20) NOT NULL,
  `wants_messages` tinyint(4) NOT NULL DEFAULT 0,
  `follows` varchar(4000) NOT NULL DEFAULT '',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `once` (
  `hash` binary(32) NOT NULL,
  `fingerprint` varbinary(64) NOT NULL,
  `job_id` bigint(20) NOT NULL,
  `until` bigint(20) NOT NULL,
  PRIMARY KEY (`hash`),
  KEY `once_until` (`until`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `operation` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `action` enum('cancel','retry','delete') NOT NULL,
  `state` enum('running','completed','cancelled','failed') NOT NULL,
  `filter` longtext NOT NULL,
  `reason` mediumtext NOT NULL,
  `changes` longtext NOT NULL,
  `last_id` bigint(20) NOT NULL,
  `next_id` bigint(20) NOT NULL,
  `matched` bigint(20) NOT NULL,
  `done` bigint(20) NOT NULL DEFAULT 0,
  `skipped` bigint(20) NOT NULL DEFAULT 0,
  `created_at` bigint(20) NOT NULL,
  `ended_at` bigint(20) DEFAULT NULL,
  `error` mediumtext DEFAULT NULL,
  `access` longtext DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `operation_state` (`state`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `payload` (
  `job_id` bigint(20) NOT NULL,
  `plan` longblob NOT NULL,
  PRIMARY KEY (`job_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `schema_version` (
  `number` bigint(20) NOT NULL,
  `name` varchar(255) NOT NULL,
  PRIMARY KEY (`number`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE `secret` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `name` varchar(255) NOT NULL,
  `kind` enum('value','signing') NOT NULL,
  `sealed` mediumtext NOT NULL,
  `created_at` bigint(20) NOT NULL,
  `until` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `secret_name` (`kind`,`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `tag` (
  `name` varchar(255) NOT NULL,
  `value` varchar(255) NOT NULL,
  `job_id` bigint(20) NOT NULL,
  PRIMARY KEY (`name`,`value`,`job_id`),
  KEY `tag_job` (`job_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `tally` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `state` enum('scheduled','available','running','completed','failed','cancelled') NOT NULL,
  `change` bigint(20) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;

CREATE TABLE `token` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `name` varchar(255) NOT NULL,
  `active_name` varchar(255) DEFAULT NULL,
  `digest` varbinary(64) NOT NULL,
  `old_digest` varbinary(64) DEFAULT NULL,
  `old_until` bigint(20) DEFAULT NULL,
  `scopes` mediumtext NOT NULL,
  `contexts` mediumtext DEFAULT NULL,
  `queues` mediumtext DEFAULT NULL,
  `targets` mediumtext DEFAULT NULL,
  `created_at` bigint(20) NOT NULL,
  `expires_at` bigint(20) DEFAULT NULL,
  `revoked_at` bigint(20) DEFAULT NULL,
  `last_used_at` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `token_digest` (`digest`),
  UNIQUE KEY `token_name` (`active_name`),
  UNIQUE KEY `token_old_digest` (`old_digest`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC;
