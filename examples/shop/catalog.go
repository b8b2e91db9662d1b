package main

import (
	"context"

	"github.com/swampline/live"
)

// Category is what a product belongs to.
type Category struct {
	ID      int64  `live:"id,key"`
	Name    string `live:"name,write,filter" validate:"required,max=40"`
	Version int64  `live:"version,version"`
}

// Tag is a word that products are marked with.
type Tag struct {
	ID      int64  `live:"id,key"`
	Name    string `live:"name,write,filter" validate:"required,max=20"`
	Version int64  `live:"version,version"`
}

// ProductTag says that a product is marked with a tag: a row of its own, so that each mark comes and goes live.
type ProductTag struct {
	ID        int64 `live:"id,key"`
	ProductID int64 `live:"product_id,write,filter" validate:"required"`
	TagID     int64 `live:"tag_id,write,filter" validate:"required"`
	Version   int64 `live:"version,version"`
}

// Validate is called before a category is stored, as are those of the other models.
func (c *Category) Validate(context.Context) error { return valid(c) }

// Validate is called before a tag is stored.
func (t *Tag) Validate(context.Context) error { return valid(t) }

// Validate is called before a mark is stored.
func (p *ProductTag) Validate(context.Context) error { return valid(p) }

func (s *store) categories() table[Category] {
	return table[Category]{s, "categories", "id, name, version", func(c *Category) []any { return []any{&c.ID, &c.Name, &c.Version} }}
}

func (s *store) tags() table[Tag] {
	return table[Tag]{s, "tags", "id, name, version", func(t *Tag) []any { return []any{&t.ID, &t.Name, &t.Version} }}
}

func (s *store) productTags() table[ProductTag] {
	return table[ProductTag]{s, "product_tags", "id, product_id, tag_id, version", func(p *ProductTag) []any {
		return []any{&p.ID, &p.ProductID, &p.TagID, &p.Version}
	}}
}

// categoriesRouter is the live endpoint of categories. A renamed one is a change of one row: the products of it say only its
// key, and whoever shows them shows the category as it is.
func (s *shop) categoriesRouter() *live.Router[Category] {
	rows := s.store.categories()
	return &live.Router[Category]{
		Name:  "categories",
		Scope: live.Everyone,
		Allow: staffWrites,
		Tx:    s.store.transaction,
		List:  rows.listed,
		Get:   rows.get,
		Create: func(ctx context.Context, in Category) (Category, error) {
			return unique(rows.add(ctx, in))
		},
		Update: func(ctx context.Context, was, now Category) (Category, error) {
			return unique(rows.save(ctx, was, now))
		},
	}
}

func (s *shop) tagsRouter() *live.Router[Tag] {
	rows := s.store.tags()
	return &live.Router[Tag]{
		Name:  "tags",
		Scope: live.Everyone,
		Allow: staffWrites,
		Tx:    s.store.transaction,
		List:  rows.listed,
		Get:   rows.get,
		Create: func(ctx context.Context, in Tag) (Tag, error) {
			return unique(rows.add(ctx, in))
		},
	}
}

func (s *shop) productTagsRouter() *live.Router[ProductTag] {
	rows := s.store.productTags()
	return &live.Router[ProductTag]{
		Name:  "product_tags",
		Scope: live.Everyone,
		Allow: staffWrites,
		Tx:    s.store.transaction,
		List:  rows.listed,
		Get:   rows.get,
		Create: func(ctx context.Context, in ProductTag) (ProductTag, error) {
			row, err := rows.add(ctx, in)
			switch {
			case taken(err):
				err = live.Invalid{"tag_id": {"The product has this tag already."}}
			case missing(err):
				err = live.Invalid{"": {"The product or the tag does not exist (any more)."}}
			}
			return row, err
		},
		Delete: rows.remove,
	}
}

// unique words the error of a name that is taken.
func unique[T any](row T, err error) (T, error) {
	if taken(err) {
		err = live.Invalid{"name": {"There is one of this name already."}}
	}
	return row, err
}
