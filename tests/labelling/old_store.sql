CREATE TABLE accounts (
  name VARCHAR(200) NOT NULL,
  password TEXT NOT NULL,
  role VARCHAR(20) NOT NULL,
  active BOOLEAN NOT NULL,
  time BIGINT NOT NULL,
  CONSTRAINT pk_accounts PRIMARY KEY (name)
);
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE answers (
  item INTEGER NOT NULL,
  annotator TEXT NOT NULL,
  label INTEGER NOT NULL,
  value VARCHAR(20) NOT NULL,
  CONSTRAINT pk_answers PRIMARY KEY (item, annotator),
  CONSTRAINT fk_answers_item FOREIGN KEY(item) REFERENCES items (id)
);
CREATE TABLE audit (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  time BIGINT NOT NULL,
  account TEXT NOT NULL,
  address TEXT NOT NULL,
  action VARCHAR(50) NOT NULL,
  detail JSON NOT NULL
);
CREATE TABLE batches (
  number INTEGER NOT NULL,
  id TEXT NOT NULL,
  kind VARCHAR(20) NOT NULL,
  objective VARCHAR(200) NOT NULL,
  state VARCHAR(10) NOT NULL,
  time BIGINT NOT NULL,
  run TEXT,
  strategy TEXT,
  round INTEGER,
  uri TEXT,
  facts JSON NOT NULL,
  CONSTRAINT pk_batches PRIMARY KEY (number),
  CONSTRAINT uq_batches_id UNIQUE (id)
);
CREATE TABLE category_metrics (
  run TEXT NOT NULL,
  objective VARCHAR(200) NOT NULL,
  category TEXT NOT NULL,
  figures JSON NOT NULL,
  CONSTRAINT pk_category_metrics PRIMARY KEY (run, objective, category),
  CONSTRAINT fk_category_metrics_run FOREIGN KEY(run) REFERENCES runs (id)
);
CREATE TABLE category_rules (
  run TEXT NOT NULL,
  category TEXT NOT NULL,
  figures JSON NOT NULL,
  examples JSON NOT NULL,
  CONSTRAINT pk_category_rules PRIMARY KEY (run, category),
  CONSTRAINT fk_category_rules_run FOREIGN KEY(run) REFERENCES runs (id)
);
CREATE TABLE confusions (
  run TEXT NOT NULL,
  objective VARCHAR(200) NOT NULL,
  category TEXT NOT NULL,
  predicted TEXT NOT NULL,
  products INTEGER NOT NULL,
  examples JSON NOT NULL,
  CONSTRAINT pk_confusions PRIMARY KEY (run, objective, category, predicted),
  CONSTRAINT fk_confusions_run FOREIGN KEY(run) REFERENCES runs (id)
);
CREATE TABLE devices (
  token VARCHAR(64) NOT NULL,
  account VARCHAR(200) NOT NULL,
  time BIGINT NOT NULL,
  CONSTRAINT pk_devices PRIMARY KEY (token)
);
CREATE TABLE items (
  id INTEGER NOT NULL,
  batch INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  product_id TEXT NOT NULL,
  objective VARCHAR(200) NOT NULL,
  category TEXT NOT NULL,
  predicted TEXT,
  suggestions JSON NOT NULL,
  utility DOUBLE,
  parts JSON NOT NULL,
  strategy TEXT,
  source TEXT NOT NULL,
  inclusion_probability DOUBLE,
  round INTEGER,
  seed BIGINT,
  model TEXT,
  split VARCHAR(20),
  reason JSON,
  state VARCHAR(10) NOT NULL,
  assigned TEXT,
  wanted INTEGER NOT NULL,
  CONSTRAINT pk_items PRIMARY KEY (id),
  CONSTRAINT fk_items_batch FOREIGN KEY(batch) REFERENCES batches (number),
  CONSTRAINT uq_items_batch_product_id_objective_category UNIQUE (batch, product_id, objective, category)
);
CREATE TABLE labels (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  product_id TEXT NOT NULL,
  objective VARCHAR(200) NOT NULL,
  category TEXT,
  value VARCHAR(20) NOT NULL,
  annotator TEXT NOT NULL,
  time BIGINT NOT NULL,
  batch TEXT,
  source TEXT NOT NULL,
  inclusion_probability DOUBLE,
  suggestion TEXT,
  suggestion_probability DOUBLE,
  model TEXT,
  seconds DOUBLE,
  note TEXT,
  item INTEGER,
  undoes INTEGER,
  request VARCHAR(64),
  part INTEGER,
  CONSTRAINT uq_labels_request_part UNIQUE (request, part)
);
CREATE TABLE leases (
  item INTEGER NOT NULL,
  annotator TEXT NOT NULL,
  until BIGINT NOT NULL,
  CONSTRAINT pk_leases PRIMARY KEY (item, annotator),
  CONSTRAINT fk_leases_item FOREIGN KEY(item) REFERENCES items (id)
);
CREATE TABLE neighbours (
  product_id TEXT NOT NULL,
  other TEXT NOT NULL,
  kind VARCHAR(20) NOT NULL,
  similarity DOUBLE NOT NULL,
  category TEXT,
  CONSTRAINT pk_neighbours PRIMARY KEY (product_id, other)
);
CREATE TABLE objectives (
  name VARCHAR(200) NOT NULL,
  kind VARCHAR(20) NOT NULL,
  position INTEGER NOT NULL,
  CONSTRAINT pk_objectives PRIMARY KEY (name)
);
CREATE TABLE predictions (
  product_id TEXT NOT NULL,
  objective VARCHAR(200) NOT NULL,
  run TEXT NOT NULL,
  top JSON NOT NULL,
  scores JSON NOT NULL,
  CONSTRAINT pk_predictions PRIMARY KEY (product_id, objective, run)
);
CREATE TABLE products (
  id TEXT NOT NULL,
  fields JSON NOT NULL,
  image TEXT,
  image_folder TEXT,
  rules JSON NOT NULL,
  split VARCHAR(20),
  run TEXT,
  time BIGINT NOT NULL,
  CONSTRAINT pk_products PRIMARY KEY (id)
);
CREATE TABLE rules (
  run TEXT NOT NULL,
  rule TEXT NOT NULL,
  category TEXT NOT NULL,
  condition JSON NOT NULL,
  figures JSON NOT NULL,
  examples JSON NOT NULL,
  CONSTRAINT pk_rules PRIMARY KEY (run, rule),
  CONSTRAINT fk_rules_run FOREIGN KEY(run) REFERENCES runs (id)
);
CREATE TABLE runs (
  id TEXT NOT NULL,
  workflow TEXT NOT NULL,
  time BIGINT NOT NULL,
  facts JSON NOT NULL,
  CONSTRAINT pk_runs PRIMARY KEY (id)
);
CREATE TABLE sessions (
  token VARCHAR(64) NOT NULL,
  account TEXT NOT NULL,
  csrf VARCHAR(64) NOT NULL,
  until BIGINT NOT NULL,
  CONSTRAINT pk_sessions PRIMARY KEY (token)
);
CREATE TABLE sign_in_failures (
  kind VARCHAR(10) NOT NULL,
  "key" VARCHAR(200) NOT NULL,
  failures DOUBLE NOT NULL,
  time BIGINT NOT NULL,
  CONSTRAINT pk_sign_in_failures PRIMARY KEY (kind, "key")
);
CREATE TABLE taxonomies (
  fingerprint VARCHAR(64) NOT NULL,
  content TEXT NOT NULL,
  time BIGINT NOT NULL,
  CONSTRAINT pk_taxonomies PRIMARY KEY (fingerprint)
);
CREATE TABLE triplet_questions (
  id INTEGER NOT NULL,
  "query" TEXT NOT NULL,
  a TEXT NOT NULL,
  b TEXT NOT NULL,
  methods JSON NOT NULL,
  wanted INTEGER NOT NULL,
  time BIGINT NOT NULL,
  CONSTRAINT pk_triplet_questions PRIMARY KEY (id),
  CONSTRAINT uq_triplet_questions_query_a_b UNIQUE ("query", a, b)
);
CREATE TABLE triplets (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  "query" TEXT NOT NULL,
  a TEXT NOT NULL,
  b TEXT NOT NULL,
  verdict VARCHAR(10) NOT NULL,
  annotator TEXT NOT NULL,
  time BIGINT NOT NULL,
  methods JSON NOT NULL,
  question INTEGER,
  request VARCHAR(64),
  CONSTRAINT uq_triplets_request UNIQUE (request)
);
CREATE INDEX ix_devices_account ON devices (account, time);
CREATE INDEX ix_items_product ON items (product_id, objective);
CREATE INDEX ix_items_queue ON items (state, batch, rank);
CREATE INDEX ix_labels_annotator ON labels (annotator, id);
CREATE INDEX ix_labels_product ON labels (product_id, objective);
CREATE INDEX ix_leases_annotator ON leases (annotator);
CREATE INDEX ix_rules_category ON rules (run, category);
CREATE INDEX ix_sign_in_failures_time ON sign_in_failures (time);
CREATE INDEX ix_triplets_question ON triplets (question, annotator);
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER labels_no_delete BEFORE DELETE ON labels BEGIN SELECT RAISE(ABORT, 'labels is append-only'); END;
CREATE TRIGGER labels_no_update BEFORE UPDATE ON labels BEGIN SELECT RAISE(ABORT, 'labels is append-only'); END;
CREATE TRIGGER triplets_no_delete BEFORE DELETE ON triplets BEGIN SELECT RAISE(ABORT, 'triplets is append-only'); END;
CREATE TRIGGER triplets_no_update BEFORE UPDATE ON triplets BEGIN SELECT RAISE(ABORT, 'triplets is append-only'); END;
INSERT INTO alembic_version VALUES ('0003');
INSERT INTO objectives VALUES ('exclusive', 'exclusive', 0), ('rule_based', 'multi_label', 1);
INSERT INTO taxonomies VALUES ('a84c', '[["Bags",["Bags"],"Bags",true,null],["Shoes",["Shoes"],"Shoes",true,null]]', 1);
INSERT INTO products VALUES ('p0', '{"title": "A bag"}', NULL, NULL, '[]', 'train', 'run-1', 1), ('p1', '{}', NULL, NULL, '[]', 'train', 'run-1', 1);
INSERT INTO predictions VALUES ('p1', 'exclusive', 'run-1', '[["Shoes", 0.6], ["Bags", 0.4]]', '{"entropy": 0.67}');
INSERT INTO batches VALUES (1, 'run-1', 'batch', 'exclusive', 'open', 1, 'run-1', 'schedule', 5, '/gone', '{"model": "/gone"}');
INSERT INTO items VALUES
  (1, 1, 0, 'p0', 'exclusive', '', 'Bags', '[["Bags", 0.9]]', 1.5, '{"margin": 0.9}', 'margin', 'margin', NULL, 5, 7, '/gone', 'train', 'null', 'done', NULL, 1),
  (2, 1, 1, 'p1', 'exclusive', '', 'Shoes', '[["Shoes", 0.6]]', 1.2, '{"margin": 0.2}', 'margin', 'margin', NULL, 5, 7, '/gone', 'train', 'null', 'open', NULL, 1);
INSERT INTO labels (product_id, objective, category, value, annotator, time, batch, source, model, item)
  VALUES ('p0', 'exclusive', 'Bags', 'yes', 'ann', 5, 'run-1', 'margin', '/gone', 1);
