package livegorm_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/glebarez/sqlite"
	"github.com/swampline/live"
	"github.com/swampline/live/adapters/livegorm"
	"github.com/swampline/live/where"
	"gorm.io/gorm"
)

// Item is a model as GORM knows it, with live tags for what is published.
type Item struct {
	ID   int64  `gorm:"primaryKey" live:"id,key"`
	Text string `live:"text,filter"`
}

func Example() {
	db, err := gorm.Open(sqlite.Open("file::memory:?cache=shared&_txlock=immediate"), &gorm.Config{})
	if err != nil {
		panic(err)
	}
	if err := db.AutoMigrate(&Item{}); err != nil {
		panic(err)
	}
	hub := live.New(live.Options{})
	hub.Register(&live.Router[Item]{
		Name:  "items",
		Scope: live.Everyone,
		List: func(ctx context.Context, q live.Query) (items []Item, err error) {
			err = livegorm.In(ctx, db).Find(&items).Error // the hub drops those that were not asked for
			return items, err
		},
	})
	http.Handle("/live/", hub)
	if err := db.Use(livegorm.New(hub)); err != nil {
		panic(err)
	}

	// Model code stays as it is: subscribers are told of both rows when this has committed.
	err = db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&Item{Text: "milk"}).Error; err != nil {
			return err
		}
		return tx.Create(&Item{Text: "bread"}).Error
	})
	fmt.Println(err)
	if err := hub.Shutdown(context.Background()); err != nil {
		panic(err)
	}
	// Output: <nil>
}

// A clean-up of many rows: the application knows what it deletes.
func ExampleSkip() {
	clean := func(ctx context.Context, db *gorm.DB, items *live.Router[Item]) error {
		return livegorm.Tx(ctx, db, func(ctx context.Context, tx *gorm.DB) error {
			if err := livegorm.Skip(tx).Where("id < ?", 1000).Delete(&Item{}).Error; err != nil {
				return err
			}
			return items.ChangedWhere(ctx, where.Lt("id", 1000))
		})
	}
	_ = clean
}
