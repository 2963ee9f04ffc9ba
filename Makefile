# make test    sets up what is missing and runs everything; .ci/run calls it
# make run     runs the server
# make fuzz    runs each fuzz target for FUZZTIME
# make churn   lets 2,000 clients come and go for 30 s, and 100 that never read stand beside 900
# make crash   kills the server ROUNDS times for each database, and counts what is lost
# make client-churn    breaks the JavaScript clients' lines 2,000 times while they talk
# make screenshots, make docs    write what is generated under docs/

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
FUZZTIME ?= 1m
ROUNDS ?= 50
GO_TEST := go test -race -shuffle=on

.PHONY: test setup vet go-test js-test churn client-churn crash fuzz screenshots docs run build

test: setup vet go-test js-test

run:
	go run .

setup:
	@.ci/setup

vet:
	go mod verify
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	cd client && npm run --silent check

# Both kinds of tests say at the end what had to be skipped.
go-test:
	$(GO_TEST) -json ./... | go run ./.ci/gotest

# The server is killed again and again with publishers at work: nothing that was
# acked may be missing.
crash:
	go test . -v -count=1 -timeout=1h -run TestKill9 -kill.rounds=$(ROUNDS)

# Each client gets what is meant for it. With the race detector it is all slower,
# so less is done in the time.
churn:
	go test . -race -v -count=1 -run TestChurnIsExact -churn.clients=2000 -churn.for=30s -churn.beat=4ms
	go test . -v -count=1 -run TestChurnIsExact -churn.clients=2000 -churn.for=30s -churn.beat=1ms
	go test ./attack -v -count=1 -run TestSilentBesideReaders -attack.readers=900 -attack.silent=100

# Every client has the same list in the end. CLIENT_SEED=… does again what a run
# did that failed.
client-churn: build
	cd client && CLIENT_DROPS=2000 node --test --test-reporter=spec test/recovery.test.js

# The JavaScript tests drive a server with the race detector in it.
js-test: build
	cd client && npm test | tee ../build/js-test.log
	@sed -n 's/^ *﹣ /SKIPPED: /p' build/js-test.log

build:
	go build -race -o build/gatecast .

fuzz:
	go test ./ws -run '^$$' -fuzz FuzzFrameReader -fuzztime $(FUZZTIME)
	go test ./ws -run '^$$' -fuzz FuzzFramesLikeFasthttp -fuzztime $(FUZZTIME)
	go test ./ws -run '^$$' -fuzz FuzzParseFrame -fuzztime $(FUZZTIME)
	go test ./ws -run '^$$' -fuzz FuzzParseChannel -fuzztime $(FUZZTIME)
	go test ./auth -run '^$$' -fuzz FuzzUsername -fuzztime $(FUZZTIME)
	go test ./auth -run '^$$' -fuzz FuzzVerify -fuzztime $(FUZZTIME)
	go test ./auth -run '^$$' -fuzz FuzzForeignClaims -fuzztime $(FUZZTIME)
	go test ./handlers -run '^$$' -fuzz FuzzBodyH6 -fuzztime $(FUZZTIME)

screenshots: build
	cd client && UPDATE_SCREENSHOTS=1 npm test

docs:
	go test ./config -run TestDocsTableIsGenerated -update
	go test . -run TestDocsMetricsAreGenerated -update
