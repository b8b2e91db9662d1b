package pgsource_test

import (
	"context"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/swampline/live"
	"github.com/swampline/live/pgsource"
)

// An application whose order numbers are in a column of another name. It installs nothing itself: what it prints goes into its
// migrations.
func Example() {
	pool, err := pgxpool.New(context.Background(), "postgres://app@localhost/app") // connects when it is needed
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	type Order struct {
		ID     int64  `live:"id,key"`
		Number string `live:"number,filter"`
	}
	orders := &live.Router[Order]{
		Name: "orders", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]Order, error) { return nil, nil },
	}
	hub := live.New(live.Options{})
	hub.Register(orders)

	source, err := pgsource.New(pool, pgsource.Options{NoCreate: true},
		pgsource.Table(orders, "shop.orders", pgsource.Columns{"number": "order_no"}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(source.Drop()) // the way back; source.Migration() is the way there

	// From now on, whatever changes shop.orders:
	// go func() { failed <- source.Run(ctx) }()

	// Output:
	// DROP TRIGGER IF EXISTS "live_insert_orders" ON "shop"."orders";
	// DROP TRIGGER IF EXISTS "live_update_orders" ON "shop"."orders";
	// DROP TRIGGER IF EXISTS "live_delete_orders" ON "shop"."orders";
	// DROP TRIGGER IF EXISTS "live_truncate_orders" ON "shop"."orders";
	// DROP FUNCTION IF EXISTS "live"."capture_orders"();
	// DROP TABLE IF EXISTS "live"."changes";
}
