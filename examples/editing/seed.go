package main

import "context"

// seed writes a few people and their articles into an empty database.
func (s *store) seed(ctx context.Context) error {
	return s.tx(ctx, func(ctx context.Context) error {
		var people int
		if err := s.in(ctx).QueryRowContext(ctx, "SELECT count(*) FROM people").Scan(&people); err != nil || people > 0 {
			return err
		}
		var owners []Person
		for _, p := range []Person{{Name: "Ada", Color: "teal"}, {Name: "Ben", Color: "orange"}, {Name: "Grace", Color: "violet"}} {
			owner, err := s.addPerson(ctx, p.Name, p.Color)
			if err != nil {
				return err
			}
			owners = append(owners, owner)
		}
		for i, a := range firstArticles {
			owner := owners[i%len(owners)]
			a.OwnerID, a.ChangedBy = owner.ID, owner.Name
			if _, err := s.addArticle(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

var firstArticles = []Article{
	{
		Title:   "The night ferry is back",
		Section: "Town",
		Summary: "After six years the boat to the islands sails again, on Fridays.",
		Body:    "The first crossing was sold out in a morning. Whoever wants to see the lights of the harbour go down behind the mole should take the deck chairs at the stern.\n\nThe fare is the old one.",
		Ready:   true,
	},
	{
		Title:   "How to keep bees on a roof",
		Section: "Guides",
		Summary: "Two hives, a flat roof and a neighbour who likes honey.",
		Body:    "Begin in April. Ask the neighbours before the bees do.\n\nYou need shade at noon, water all day, and a way down with twenty kilos in your arms.",
	},
	{
		Title:   "What the budget leaves out",
		Section: "Opinion",
		Private: true, // Grace's, and nobody else knows of it
		Body:    "Notes. Not for the desk yet.",
	},
	{
		Title:   "Letters to the editor",
		Section: "Opinion",
		Summary: "On buses, on benches, and on the word “shall”.",
	},
}
