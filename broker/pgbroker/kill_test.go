package pgbroker

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/swampline/live/where/wheretest/postgres"
)

// steps are what the process that is killed does, in order. It says each before it does the next.
var steps = []string{"connected", "began", "wrote the row", "wrote the entry", "asked to commit", "committed"}

// TestKilled kills a process that writes a row and its entry at every step. Whatever it had done, the log tells of exactly
// the rows that are in the table.
func TestKilled(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	o := ownLog(unbounded)
	b := New(pool, o)
	execute(t, b, "CREATE TABLE killed (id bigint PRIMARY KEY)")
	head(t, b)
	id, sure := 0, []string{}
	for i, step := range steps {
		times := 1
		if step == "asked to commit" { // what comes of it is open
			times = 8
		}
		for range times {
			id++
			killAt(t, server.URL(), o.Table, id, step)
			if i == len(steps)-1 {
				sure = append(sure, strconv.Itoa(id))
			}
		}
	}
	log := held(t, b) // waits for transactions whose process the server does not yet miss
	rows, err := pool.Query(t.Context(), "SELECT id::text FROM killed ORDER BY killed.id")
	if err != nil {
		t.Fatal(err)
	}
	table, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(log, table) {
		t.Errorf("the log has %q, the table %q", log, table)
	}
	for _, s := range sure {
		if !slices.Contains(log, s) {
			t.Errorf("%s was committed and is not on the log %q", s, log)
		}
	}
	if slices.Contains(log, "1") || slices.Contains(log, "4") {
		t.Errorf("what was not committed is on the log: %q", log)
	}
	t.Logf("of %d, these were committed: %q", id, table)
}

// killAt runs a process until it has said that it is at a step, and kills it.
func killAt(t *testing.T, url, table string, id int, step string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessThatIsKilled$")
	cmd.Env = append(os.Environ(), "PGBROKER_TEST_URL="+url, "PGBROKER_TEST_TABLE="+table,
		"PGBROKER_TEST_ID="+strconv.Itoa(id), "PGBROKER_TEST_STEP="+step)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // open until the end: reading it waits
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if said = lines.Text(); said == step {
			break
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if said != step {
		t.Fatalf("the process ended at %q, want %q", said, step)
	}
}

// TestProcessThatIsKilled is the process that TestKilled starts.
func TestProcessThatIsKilled(t *testing.T) {
	url, last := os.Getenv("PGBROKER_TEST_URL"), os.Getenv("PGBROKER_TEST_STEP")
	if url == "" {
		return // it is TestKilled that tests
	}
	reached := func(step string) {
		fmt.Println(step)
		if step == last && step != "asked to commit" {
			_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
			os.Exit(1)
		}
	}
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, url)
	must(err)
	must(pool.Ping(ctx))
	b := New(pool, Options{Table: os.Getenv("PGBROKER_TEST_TABLE"), NoCreate: true})
	reached(steps[0])
	tx, err := pool.Begin(ctx)
	must(err)
	reached(steps[1])
	id := os.Getenv("PGBROKER_TEST_ID")
	_, err = tx.Exec(ctx, "INSERT INTO killed VALUES ($1::text::bigint)", id)
	must(err)
	reached(steps[2])
	must(b.AppendTx(ctx, Execer(tx), []byte(id)))
	reached(steps[3])
	reached(steps[4])
	must(tx.Commit(ctx))
	reached(steps[5])
	os.Exit(0)
}

// must ends the process that is to be killed.
func must(err error) {
	if err != nil {
		fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(2)
	}
}
