package live_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/swampline/live"
)

// A complete program: notes in memory, to follow with curl localhost:8080/live/notes or a browser.
func Example() {
	type Note struct {
		ID   int64  `live:"id,key"`
		Text string `live:"text,write,filter"`
	}
	var mu sync.Mutex
	var notes []Note

	router := &live.Router[Note]{
		Name:  "notes",
		Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]Note, error) {
			mu.Lock()
			defer mu.Unlock()
			return notes, nil // what does not match is dropped, so this is right, if slow
		},
		Create: func(_ context.Context, in Note) (Note, error) {
			if in.Text == "" {
				return in, &live.Error{Code: "invalid", Errors: map[string][]string{"text": {"must not be empty"}}}
			}
			mu.Lock()
			defer mu.Unlock()
			in.ID = int64(len(notes) + 1)
			notes = append(notes, in)
			return in, nil
		},
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(router)

	mux := http.NewServeMux()
	mux.Handle("/live/", hub)
	server := httptest.NewServer(mux) // or http.ListenAndServe(":8080", mux)
	defer server.Close()

	post := func(note string) {
		r, err := http.Post(server.URL+"/live/notes", "application/json", strings.NewReader(note))
		if err != nil {
			log.Fatal(err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		fmt.Println(r.Status)
		if r.StatusCode >= 400 {
			fmt.Print(string(body))
		}
	}
	post(`{"text":"milk"}`)
	post(`{"text":""}`)

	r, err := http.Get(server.URL + "/live/notes?text__contains=il")
	if err != nil {
		log.Fatal(err)
	}
	defer r.Body.Close()
	var list struct {
		Rows []struct{ Fields json.RawMessage }
	}
	if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
		log.Fatal(err)
	}
	for _, row := range list.Rows {
		fmt.Println(string(row.Fields))
	}
	// Output:
	// 201 Created
	// 422 Unprocessable Entity
	// {"title":"Unprocessable Content","status":422,"code":"invalid","detail":"field \"text\": must not be empty","errors":{"text":["must not be empty"]}}
	// {"id":1,"text":"milk"}
}

// Model code reports what it committed, through an interface of three methods.
func ExamplePublisher() {
	type Order struct {
		ID   int64  `live:"id,key"`
		Paid bool   `live:"paid"`
		Card string // without a tag: it reaches neither clients nor the log
	}
	orders := &live.Router[Order]{
		Name: "orders", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]Order, error) { return nil, nil },
	}
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(orders)

	pay := func(ctx context.Context, told live.Publisher[Order], was Order) error {
		now := was
		now.Paid = true
		// … commit it, then
		return told.Updated(ctx, was, now)
	}
	fmt.Println(pay(context.Background(), orders, Order{ID: 7, Card: "4242"}))
	// Output: <nil>
}

// A channel says who may follow it and what browsers may publish. Here a browser follows one as an event stream.
func ExampleHub_Publish() {
	hub := live.New(live.Options{})
	defer hub.Shutdown(context.Background())
	hub.Register(&live.Channel{
		Name: "room:*",
		Subscribe: func(_ context.Context, name string) error {
			if name == "room:attic" {
				return live.ErrForbidden
			}
			return nil
		},
		// Without Publish browsers may only listen.
	})
	server := httptest.NewServer(hub)
	defer server.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/?channel=room:7", nil)
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Body.Close()

	events := bufio.NewScanner(stream.Body)
	for events.Scan() {
		switch line := events.Text(); {
		case line == "event: snapshot": // the subscription stands
			if err := hub.Publish(ctx, "room:7", map[string]string{"text": "hello"}); err != nil {
				log.Fatal(err)
			}
		case strings.Contains(line, `"type":"message"`):
			_, messages, _ := strings.Cut(line, `"messages":`)
			fmt.Println(strings.TrimSuffix(messages, "}"))
			cancel()
		}
	}
	fmt.Println(hub.Publish(context.Background(), "lobby", "hello"))
	// Output:
	// [{"text":"hello"}]
	// live: channel "lobby" is not declared: register a live.Channel
}

// An error with a code and a sentence is the caller's; any other is logged, and the caller is told nothing of it.
func ExampleError() {
	err := fmt.Errorf("order 7: %w", &live.Error{Code: "sold_out", Status: http.StatusConflict, Detail: "somebody else was faster"})
	var e *live.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code + ": " + e.Detail)
	}
	fmt.Println(errors.Is(err, live.ErrConflict))
	// Output:
	// sold_out: somebody else was faster
	// false
}

// Money moves from one account to another, and whoever sees both sees both change at once, or neither. The same code runs in a browser's
// write, in a job and in a handler; with an outbox, see [live.Options], even a crash between COMMIT and the log loses nothing.
func ExampleTx() {
	type Account struct {
		ID      int64 `live:"id,key"`
		Balance int64 `live:"balance"`
		Version int64 `live:"version,version"`
	}
	var db *sql.DB
	var accounts *live.Router[Account]

	add := func(ctx context.Context, tx *sql.Tx, id, amount int64) error {
		now := Account{ID: id}
		row := tx.QueryRowContext(ctx, "UPDATE accounts SET balance = balance + $1, version = version + 1 WHERE id = $2 RETURNING balance, version", amount, id)
		if err := row.Scan(&now.Balance, &now.Version); err != nil {
			return err
		}
		was := Account{ID: id, Balance: now.Balance - amount, Version: now.Version - 1}
		return accounts.Updated(ctx, was, now)
	}
	transfer := func(ctx context.Context, from, to, amount int64) error {
		return live.Tx(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
			if err := add(ctx, tx, from, -amount); err != nil {
				return err
			}
			return add(ctx, tx, to, amount)
		})
	}
	accounts = &live.Router[Account]{
		Name:  "accounts",
		Scope: live.Everyone,
		Get: func(ctx context.Context, key live.Key) (Account, error) {
			var row interface {
				QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
			} = db
			if tx, ok := live.TxOf(ctx, db); ok { // asked from within: it sees what the transaction did
				row = tx
			}
			a := Account{ID: key.Int64()}
			err := row.QueryRowContext(ctx, "SELECT balance, version FROM accounts WHERE id = $1", a.ID).Scan(&a.Balance, &a.Version)
			if errors.Is(err, sql.ErrNoRows) {
				err = live.ErrNotFound
			}
			return a, err
		},
		Verbs: map[string]live.CustomVerb{
			"pay": live.RowVerb[Account, struct{ To, Amount int64 }, struct{}](func(ctx context.Context, from Account, in struct{ To, Amount int64 }) (struct{}, error) {
				return struct{}{}, transfer(ctx, from.ID, in.To, in.Amount)
			}),
		},
	}
}
