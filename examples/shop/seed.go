package main

import (
	"context"
	"strings"
)

// shelf is what the shop begins with: for each category its products, as "name, price in cents, stock, tags".
var shelf = []struct {
	category string
	products []seedling
}{
	{"Bread", []seedling{
		{"Rye loaf", 420, 14, "vegan local"}, {"Seeded loaf", 460, 9, "vegan"}, {"Baguette", 210, 25, "vegan"}, {"Brioche", 350, 6, "sweet"},
		{"Focaccia", 390, 8, "vegan new"}, {"Spelt rolls", 280, 30, "vegan local"}, {"Cinnamon knots", 310, 0, "sweet"}, {"Crispbread", 330, 40, "vegan"},
	}},
	{"Cheese", []seedling{
		{"Mountain cheese", 890, 12, "local"}, {"Goat's cream", 540, 10, "local new"}, {"Blue cheese", 720, 5, ""}, {"Smoked ricotta", 610, 7, "new"},
		{"Aged gouda", 780, 16, ""}, {"Feta", 450, 22, ""},
	}},
	{"Fruit", []seedling{
		{"Apples, Boskoop", 290, 60, "vegan local"}, {"Pears", 340, 35, "vegan local"}, {"Blood oranges", 410, 20, "vegan"}, {"Quinces", 380, 0, "vegan local"},
		{"Plums, dried", 520, 18, "vegan sweet"}, {"Lemons", 270, 44, "vegan"}, {"Figs", 590, 3, "vegan new"},
	}},
	{"Jars", []seedling{
		{"Apricot jam", 480, 24, "vegan sweet"}, {"Forest honey", 750, 15, "local sweet"}, {"Tahini", 560, 11, "vegan"}, {"Sauerkraut", 320, 19, "vegan local"},
		{"Olives, green", 430, 27, "vegan"}, {"Tomato passata", 260, 50, "vegan"}, {"Pickled beets", 340, 13, "vegan local"}, {"Chestnut cream", 690, 4, "sweet new"},
	}},
	{"Drinks", []seedling{
		{"Apple juice", 310, 36, "vegan local"}, {"Elderflower syrup", 640, 17, "vegan sweet"}, {"Ginger beer", 290, 28, "vegan new"}, {"Oat drink", 240, 33, "vegan"},
		{"Espresso beans", 1190, 21, "vegan"}, {"Jasmine tea", 870, 8, "vegan"}, {"Cocoa", 560, 12, "vegan sweet"}, {"Kefir", 220, 0, "local"},
	}},
}

type seedling struct {
	name         string
	price, stock int64
	tags         string
}

// seed fills an empty database.
func (s *store) seed(ctx context.Context) error {
	there, err := s.categories().where(ctx, "LIMIT 1")
	if err != nil || len(there) > 0 {
		return err
	}
	tags := map[string]int64{}
	for _, name := range []string{"vegan", "local", "sweet", "new"} {
		tag, err := s.tags().add(ctx, Tag{Name: name})
		if err != nil {
			return err
		}
		tags[name] = tag.ID
	}
	for _, part := range shelf {
		category, err := s.categories().add(ctx, Category{Name: part.category})
		if err != nil {
			return err
		}
		for _, one := range part.products {
			if err := s.plant(ctx, one, category.ID, tags); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *store) plant(ctx context.Context, one seedling, category int64, tags map[string]int64) error {
	note := ""
	if one.stock == 0 {
		note = "The supplier promised more by Friday."
	}
	p, err := s.products().add(ctx, Product{Name: one.name, CategoryID: category, Price: one.price, Cost: one.price * 3 / 5, Stock: one.stock, Note: note})
	for _, name := range strings.Fields(one.tags) {
		if err == nil {
			_, err = s.productTags().add(ctx, ProductTag{ProductID: p.ID, TagID: tags[name]})
		}
	}
	return err
}
