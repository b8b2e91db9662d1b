package typescript_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/typescript"
)

type Task struct {
	ID    int64      `live:"id,key"`
	Title string     `live:"title,write,filter"`
	Done  bool       `live:"done,write,filter"`
	Due   *time.Time `live:"due,write,filter"`
}

type Remind struct {
	Text string `json:"text"`
	Loud bool   `json:"loud,omitempty"`
}

// newHub is what the application's main calls, too.
func newHub() *live.Hub {
	hub := live.New(live.Options{})
	hub.Register(&live.Router[Task]{
		Name: "tasks", Scope: live.Everyone,
		List:   func(ctx context.Context, q live.Query) ([]Task, error) { return nil, nil },
		Create: func(ctx context.Context, in Task) (Task, error) { return in, nil },
		Get:    func(ctx context.Context, key live.Key) (Task, error) { return Task{}, live.ErrNotFound },
		Verbs: map[string]live.CustomVerb{
			"remind": live.RowVerb[Task, Remind, struct{}](func(context.Context, Task, Remind) (struct{}, error) { return struct{}{}, nil }),
		},
		Serializer: live.Serializer[Task]{
			Computed: map[string]live.Computed[Task]{
				"overdue": {Of: func(t Task) any { return !t.Done && t.Due != nil && t.Due.Before(time.Now()) }},
			},
		},
	})
	return hub
}

// A program that go generate runs writes the types of the application's routers.
func ExampleWrite() {
	err := typescript.Write(os.Stdout, newHub(), typescript.Options{
		Fields: map[string]string{"tasks.overdue": "boolean"},
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// // Code generated from the routers of the application by github.com/swampline/live/typescript. DO NOT EDIT.
	//
	// import type { Filter, Order } from "@swampline/live";
	//
	// export interface Routers {
	//   tasks: {
	//     row: { id: number; title: string; done: boolean; due: string | null; overdue: boolean };
	//     where: Filter<{ id: "int"; title: "text"; done: "bool"; due: "time?" }>;
	//     order: Order<"id" | "title" | "done" | "due">;
	//     create: { title?: string; done?: boolean; due?: string | null };
	//     update: never;
	//     verbs: {
	//       remind: { in: { text: string; loud?: boolean }; out: undefined; row: true };
	//     };
	//     include: {};
	//   };
	// }
}
