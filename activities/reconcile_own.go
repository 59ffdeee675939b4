package activities

import (
	"context"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/store"
)

// The link by which the store remembers which user of Sage our key belongs to. No endpoint tells: it is the maker that
// records of ours turn out to have (A59).
const (
	ownUserLink store.LinkKind = "user"
	ownUserID                  = "ghl:self"
)

// own tells what we made from what people made.
type own struct {
	// user is ours, 0 as long as it is not known: then nothing is taken for our doing.
	user int64
	// made are the records that this step made.
	made map[int64]bool
}

// recall reads who we were at the last time.
func (b *booksRun) recall(ctx context.Context) error {
	links, err := b.sage.Store.Links(ctx, b.in.Location, ownUserLink, ownUserID)
	b.own = own{user: links[ownUserID].SageID, made: map[int64]bool{}}
	return err
}

// learn takes its maker from a record that was read, if this step made it.
func (b *booksRun) learn(ctx context.Context, a sage.Audit) error {
	if !b.own.made[a.ID] || !a.CreatedBy.IsSet() || a.CreatedBy.ID == b.own.user {
		return nil
	}
	b.own.user = a.CreatedBy.ID
	return b.sage.Store.PutLinks(ctx, store.Link{
		Location: b.in.Location, Kind: ownUserLink, ExtID: ownUserID, SageID: b.own.user,
	})
}

// surplus tells whether a record beside the one that is kept is plainly our own doing, a late write of ours, and may be
// removed. What people made, were it all that is left of a record of ours and its copies, is theirs to judge.
func (o own) surplus(a sage.Audit) bool { return o.user != 0 && onlyBy(a, o.user) }
