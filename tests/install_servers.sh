#!/usr/bin/env bash
# Installs what the tests with a server or a browser need. What cannot be had leaves its tests skipped by name.
set -u
cd "$(dirname "$0")/.."
LABEL_STUDIO=label-studio==1.23.2

debian() {
  local need=()
  command -v chromium >/dev/null || need+=(chromium)
  { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || need+=(postgresql)
  command -v mariadbd >/dev/null || need+=(mariadb-server)
  command -v rabbitmq-server >/dev/null || [ -x /usr/sbin/rabbitmq-server ] || need+=(rabbitmq-server)
  command -v buildah >/dev/null || need+=(buildah)
  command -v debootstrap >/dev/null || need+=(debootstrap)
  [ ${#need[@]} -eq 0 ] && return
  if ! command -v apt-get >/dev/null; then
    echo "apt-get is not here; install by hand: ${need[*]}"
    return
  fi
  local as=()
  [ "$(id -u)" -eq 0 ] || as=(sudo)
  export DEBIAN_FRONTEND=noninteractive
  "${as[@]}" apt-get update -qq || true
  for package in "${need[@]}"; do
    "${as[@]}" apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "could not install $package: its tests will be skipped"
  done
}

# Into an environment of its own (800 MB): it asks for other versions of nearly everything.
label_studio() {
  [ -x .label-studio/bin/label-studio ] && return
  rm -rf .label-studio
  if .uv/bin/uv venv --quiet --python .venv/bin/python .label-studio &&
    .uv/bin/uv pip install --quiet --compile-bytecode --python .label-studio/bin/python "$LABEL_STUDIO"; then
    return
  fi
  rm -rf .label-studio
  echo "could not install $LABEL_STUDIO: its test will be skipped"
}

# Beam's job server with Flink inside (160 jars, 200 MB), and one jar that starts it.
flink() {
  [ -f .flink/job-server.jar ] && return
  if command -v mvn >/dev/null && command -v java >/dev/null &&
    mvn -B -q -f tests/flink/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$PWD/.flink/lib" >/dev/null &&
    .venv/bin/python tests/flink/job_server.py .flink; then
    return
  fi
  rm -rf .flink
  echo "could not fetch the libraries of tests/flink/pom.xml with Maven: the test on Flink will be skipped"
}

# OpenSearch's libraries (80 jars, 60 MB).
opensearch() {
  [ -f .opensearch/.complete ] && return
  if command -v mvn >/dev/null && command -v java >/dev/null &&
    mvn -B -q -f tests/opensearch_server/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$PWD/.opensearch" >/dev/null; then
    touch .opensearch/.complete
    return
  fi
  rm -rf .opensearch
  echo "could not fetch the libraries of tests/opensearch_server/pom.xml with Maven: the tests with OpenSearch will be skipped"
}

# Apache Kafka's broker as libraries (60 jars, 80 MB).
kafka() {
  [ -f .kafka/.complete ] && return
  if command -v mvn >/dev/null && command -v java >/dev/null &&
    mvn -B -q -f tests/kafka_server/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$PWD/.kafka" >/dev/null; then
    touch .kafka/.complete
    return
  fi
  rm -rf .kafka
  echo "could not fetch the libraries of tests/kafka_server/pom.xml with Maven: the tests with Kafka will be skipped"
}

debian
label_studio
opensearch
kafka
flink
exit 0
