package main

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/swampline/live"
)

func TestAnEmptyDatabaseIsSeededOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "editing.db")
	for range 2 {
		s, err := openStore(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		articles, err := s.articles(t.Context(), "")
		if err != nil || len(articles) != len(firstArticles) {
			t.Errorf("there are %d articles (%v), want %d", len(articles), err, len(firstArticles))
		}
		for _, a := range articles {
			if err := a.check(t.Context(), nil); err != nil {
				t.Errorf("%q: %v", a.Title, err)
			}
		}
		s.Close()
	}
}

func TestTheSecondOfTwoWritersIsToldOfAConflict(t *testing.T) {
	s, ctx := testStore(t), t.Context()
	first, err := s.article(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	second := first
	first.Title, second.Title = "hers", "his"
	saved, err := s.saveArticle(ctx, first)
	if err != nil || saved.Version != first.Version+1 || saved.Title != "hers" {
		t.Fatalf("the first writer got %+v, %v", saved, err)
	}
	if _, err := s.saveArticle(ctx, second); !errors.Is(err, live.ErrConflict) {
		t.Errorf("the second writer got %v, want ErrConflict", err)
	}
	if err := s.removeArticle(ctx, second); !errors.Is(err, live.ErrConflict) {
		t.Errorf("who deletes the old version got %v, want ErrConflict", err)
	}
	if read, _ := s.article(ctx, 1); read != saved {
		t.Errorf("stored is %+v, want %+v", read, saved)
	}
	if err := s.removeArticle(ctx, saved); err != nil {
		t.Error(err)
	}
	if _, err := s.article(ctx, 1); !errors.Is(err, live.ErrNotFound) {
		t.Errorf("a deleted article: %v, want ErrNotFound", err)
	}
}

func TestANameIsOnePersons(t *testing.T) {
	s, ctx := testStore(t), t.Context()
	ada, err := s.addPerson(ctx, "ADA", "red")
	if err != nil || ada != (Person{1, "Ada", "red"}) {
		t.Errorf("Ada came back as %+v (%v)", ada, err)
	}
	new, err := s.addPerson(ctx, "Zoë", "pink")
	if err != nil || new.ID == ada.ID {
		t.Errorf("somebody new is %+v (%v)", new, err)
	}
	if _, err := s.person(ctx, 99); !errors.Is(err, live.ErrNotFound) {
		t.Errorf("nobody is %v, want ErrNotFound", err)
	}
}
