package sage

import (
	"context"
	"strings"
	"time"
)

// note is a record on an account that holds a text for people.
type note interface {
	Keyed
	noteOf() (accountID int64, text string)
}

// NoteResource is a resource of notes on accounts, of which each may bear a mark of its maker.
type NoteResource[T note, F any] struct {
	*KeyedResource[T, F]
}

// FindMarked reads the records of an account that bear a mark and were made after a moment, deleted ones included, by
// ascending id. It settles whether a create of unknown outcome has landed, and so keeps a note from being made twice.
//
// A mark is looked for in the external id, where it must be all of it, and in the text, where it may stand anywhere: that
// the external id of an activity can be written is not documented, and nor is a filter on texts (A112), so the account's
// records are read and compared here. Make marks of letters, digits and plain punctuation, and end them in such a way
// that none is the beginning of another. The moment is taken a day earlier (A60).
func (r *NoteResource[T, F]) FindMarked(ctx context.Context, accountID int64, mark string, since time.Time) ([]T, error) {
	operation := r.operation(actionFind)
	if accountID <= 0 || mark == "" {
		return nil, wrongCall(operation, "it needs the id of an account and a mark")
	}
	rows, err := r.Find(ctx, And(Eq("accountId.id", accountID), Gt("dateCreated", since.Add(-ChangedMargin))))
	if err != nil {
		return nil, err
	}
	marked := rows[:0]
	for _, row := range rows {
		account, text := row.noteOf()
		if account == accountID && (row.externalID() == mark || strings.Contains(text, mark)) {
			marked = append(marked, row)
		}
	}
	return marked, nil
}
