package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"

	"github.com/swampline/live"
)

// Customer is somebody who came by. There is no login: the cookie holds the customer's id, and the page has a switch for the role.
// An application with accounts puts its own middleware in the place of withVisitor, and nothing else changes.
type Customer struct {
	ID      int64  `live:"id,key"`
	Name    string `live:"name"`
	Role    string `live:"role"`
	Version int64  `live:"version,version"`
}

// The roles. Who has no cookie, such as curl, is a guest.
const (
	guest    = "guest"
	customer = "customer"
	staff    = "staff"
)

func (s *store) customers() table[Customer] {
	return table[Customer]{s, "customers", "id, name, role, version", func(c *Customer) []any {
		return []any{&c.ID, &c.Name, &c.Role, &c.Version}
	}}
}

// customersRouter is the live endpoint of customers: everybody follows themselves, and so learns of a change of the role.
func (s *shop) customersRouter() *live.Router[Customer] {
	return &live.Router[Customer]{Name: "customers", Scope: mine("id"), List: s.store.customers().listed}
}

// staffOr chooses the view of all fields for staff, and another one for everybody else.
func staffOr(view string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if visitor(ctx).Role == staff {
			return "", nil
		}
		return view, nil
	}
}

// staffWrites lets everybody read, and staff do the rest.
func staffWrites(ctx context.Context, verb string) error {
	if verb == "list" || verb == "get" || visitor(ctx).Role == staff {
		return nil
	}
	return &live.Error{Detail: "Only the staff may do this."}
}

type visitorKey struct{}

// visitor returns who sent the request that ctx belongs to.
func visitor(ctx context.Context) Customer {
	if c, ok := ctx.Value(visitorKey{}).(Customer); ok {
		return c
	}
	return Customer{Role: guest}
}

func asVisitor(ctx context.Context, c Customer) context.Context {
	return context.WithValue(ctx, visitorKey{}, c)
}

const visitorCookie = "shop-customer"

// withVisitor tells next who is asking: it puts the customer of the cookie in the request's context, where the hub, and the functions
// of the routers, find it.
func (s *shop) withVisitor(next http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie(visitorCookie); err == nil {
			id, _ := strconv.ParseInt(cookie.Value, 10, 64)
			c, err := s.store.customers().byID(r.Context(), id)
			switch {
			case err == nil:
				r = r.WithContext(asVisitor(r.Context(), c))
			case !errors.Is(err, live.ErrNotFound):
				logger.Error("the customer cannot be read", "error", err)
				http.Error(w, "The shop is closed for a moment.", http.StatusInternalServerError)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// welcome makes a customer of somebody who comes for the first time.
func (s *shop) welcome(w http.ResponseWriter, r *http.Request) (Customer, error) {
	var c Customer
	err := s.store.transaction(r.Context(), func(ctx context.Context) (err error) {
		if c, err = s.store.customers().add(ctx, Customer{Name: inventName(), Role: customer}); err != nil {
			return err
		}
		return s.customers.Created(ctx, c)
	})
	if err != nil {
		return c, err
	}
	http.SetCookie(w, &http.Cookie{
		Name:     visitorCookie,
		Value:    strconv.FormatInt(c.ID, 10),
		Path:     "/",
		MaxAge:   365 * 24 * 60 * 60,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
	return c, nil
}

// identity is what the hub knows a customer's sessions by.
func identity(ctx context.Context) string { return strconv.FormatInt(visitor(ctx).ID, 10) }

// refresh renews what the context of a session says of its customer: a session keeps the values of the request that opened it.
func (s *shop) refresh(ctx context.Context) (context.Context, error) {
	who := visitor(ctx)
	if who.ID == 0 {
		return ctx, nil
	}
	who, err := s.store.customers().byID(ctx, who.ID)
	return asVisitor(ctx, who), err
}

// changeRole takes the switch of the page.
func (s *shop) changeRole(hub *live.Hub, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 4096)
		was, role := visitor(r.Context()), r.FormValue("role")
		if was.ID == 0 || !slices.Contains([]string{guest, customer, staff}, role) {
			http.Error(w, "Want a role, and the cookie of a customer.", http.StatusBadRequest)
			return
		}
		if err := s.setRole(r.Context(), hub, was, role); err != nil {
			logger.Error("the role could not be changed", "customer", was.ID, "error", err)
			http.Error(w, "The role could not be changed.", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// setRole stores a role and tells the customer's windows of it: when Recheck returns, nothing is delivered by the old role any more.
func (s *shop) setRole(ctx context.Context, hub *live.Hub, was Customer, role string) error {
	now := was
	now.Role = role
	err := s.store.transaction(ctx, func(ctx context.Context) error {
		now, err := s.store.customers().save(ctx, was, now)
		if err != nil {
			return err
		}
		return s.customers.Updated(ctx, was, now)
	})
	return errors.Join(err, hub.Recheck(ctx, identity(ctx)))
}

// inventName greets those who come for the first time.
func inventName() string {
	return pick("Brave", "Bright", "Calm", "Cheerful", "Clever", "Curious", "Gentle", "Jolly", "Kind", "Lucky", "Merry", "Patient", "Quick", "Sunny") +
		" " + pick("Badger", "Beaver", "Crane", "Finch", "Fox", "Frog", "Hare", "Heron", "Kingfisher", "Lynx", "Newt", "Otter", "Robin", "Wren")
}

func pick(words ...string) string { return words[rand.IntN(len(words))] }
