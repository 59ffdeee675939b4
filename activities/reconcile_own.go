package activities

import (
	"context"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/store"
)

// The link by which the store remembers which user of Sage our key belongs to. No endpoint tells: it is the maker that
// records of ours turn out to have (A59).
const (
	ownUserLink = store.LinkKind("user")
	ownUserID   = "ghl:self"
)

// own tells what we made from what people made.
type own struct {
	// user is ours, 0 as long as it is not known: then nothing is taken for our doing.
	user int64
	// made are the records that this step made.
	made map[int64]bool
}

// ownUser is who we were at the last time, 0 where that is not known.
func (a *Sage) ownUser(ctx context.Context, location string) (int64, error) {
	links, err := a.Store.Links(ctx, location, ownUserLink, ownUserID)
	return links[ownUserID].SageID, err
}

// learn takes its maker from a record that was read, if this step made it.
func (b *booksRun) learn(ctx context.Context, a sage.Audit) error {
	if !b.own.made[a.ID] || !a.CreatedBy.IsSet() || a.CreatedBy.ID == b.own.user {
		return nil
	}
	b.own.user, b.words.own = a.CreatedBy.ID, a.CreatedBy.ID
	return b.sage.Store.PutLinks(ctx, store.Link{
		Location: b.in.Location, Kind: ownUserLink, ExtID: ownUserID, SageID: b.own.user,
	})
}

// surplus tells whether a record beside the one that is kept is plainly our own doing, a late write of ours, and may be
// removed. What people made, were it all that is left of a record of ours and its copies, is theirs to judge.
func (o own) surplus(a sage.Audit) bool { return o.user != 0 && onlyBy(a, o.user) }
