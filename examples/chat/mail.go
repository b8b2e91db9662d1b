package main

import (
	"context"
	"errors"
	"net"
	"net/mail"
	"strconv"

	"github.com/swampline/live"
	"github.com/swampline/live/examples/chat/notify"
)

// mailing is what the flags say of mails to those who are away.
type mailing struct {
	server, username, password string
	folder                     string
	from                       string
	url                        string
}

// backend returns what tells those who are away, nil if nothing does.
func (m mailing) backend(s *store) (notify.Backend, error) {
	var sender notify.Sender
	switch {
	case m.server != "" && m.folder != "":
		return nil, errors.New("-smtp and -mail-dir exclude each other")
	case m.server != "":
		if _, _, err := net.SplitHostPort(m.server); err != nil {
			return nil, errors.New("-smtp wants a server and its port, such as mail.example.com:587")
		}
		sender = notify.SMTP{Addr: m.server, Username: m.username, Password: m.password}
	case m.folder != "":
		sender = notify.Folder(m.folder)
	default:
		return nil, nil
	}
	from, err := mail.ParseAddress(m.from)
	if err != nil {
		return nil, errors.New("-mail-from is no e-mail address")
	}
	return &notify.Mail{From: *from, Sender: sender, URL: m.url, Address: s.address}, nil
}

// address returns where a person gets mail.
func (s *store) address(ctx context.Context, person string) (mail.Address, bool, error) {
	id, err := strconv.ParseInt(person, 10, 64)
	if err != nil {
		return mail.Address{}, false, err
	}
	p, err := s.people().byID(ctx, id)
	if errors.Is(err, live.ErrNotFound) {
		return mail.Address{}, false, nil
	}
	return mail.Address{Name: p.Name, Address: p.Email}, p.Email != "", err
}
