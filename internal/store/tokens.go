package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Token is a sealed pair of access and refresh token with what may be known without opening it, and the lease under
// which it is being refreshed.
//
// A refresh token is good for one refresh, so exactly one process may refresh: the one that holds the lease of the
// generation it read. The generation grows with each new pair.
type Token struct {
	// Owner is whose token it is: TokenOfLocation or TokenOfCompany.
	Owner string
	// Pair is sealed for TokenPurpose(Owner).
	Pair Sealed
	// Expires is when the access token ends; RefreshedAt when the pair was got.
	Expires, RefreshedAt time.Time
	// Scopes are those granted, separated by spaces.
	Scopes     string
	Generation int64
	// Holder refreshes it until Until, by the database's clock; empty when nobody does.
	Holder string
	Until  time.Time
}

// TokenOfLocation is the owner of a location's token.
func TokenOfLocation(id string) string { return "location/" + id }

// TokenOfCompany is the owner of an agency's token.
func TokenOfCompany(id string) string { return "company/" + id }

const (
	tokenColumns = `owner, sealed_key, sealed, expires, refreshed_at, scopes, generation, holder, until` //nolint:gosec // names of columns
	// A forgotten token leaves its row, so that its generation never begins anew: whoever still works for the pair
	// before cannot take the next grant for it.
	heldToken = `sealed <> ''` //nolint:gosec // a condition
)

// Token returns an owner's token, and false when there is none.
func (s *Store) Token(ctx context.Context, owner string) (Token, bool, error) {
	row := s.read.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM tokens WHERE owner = $1 AND `+heldToken, owner)
	t, found, err := one(row, scanToken)
	if err != nil {
		return Token{}, false, fmt.Errorf("read the token of %s: %w", owner, err)
	}
	return t, found, nil
}

// Tokens lists the tokens in the order of their owners, and returns the next page's token, empty after the last page.
func (s *Store) Tokens(ctx context.Context, p Page) ([]Token, string, error) {
	key, err := p.key(2)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := []string{heldToken}
	if key != nil {
		conditions = append(conditions, "owner > "+q.arg(key[1]))
	}
	q.WriteString("SELECT " + tokenColumns + " FROM tokens")
	q.where(conditions)
	q.WriteString(" ORDER BY owner LIMIT " + q.arg(p.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list the tokens: %w", err)
	}
	return paged(rows, p.limit(), scanToken, func(t Token) string { return pageToken(time.Time{}, t.Owner) })
}

// PutToken keeps a new grant, which replaces whatever the owner has and ends any lease. It counts the generation itself
// and returns the token as kept. A zero RefreshedAt becomes now.
func (s *Store) PutToken(ctx context.Context, t Token) (Token, error) {
	if err := t.check(); err != nil {
		return Token{}, fmt.Errorf("keep a token: %w", err)
	}
	var kept Token
	err := s.inTx(ctx, func(tx *sql.Tx) (err error) {
		kept, err = scanToken(tx.QueryRowContext(ctx, `
			INSERT INTO tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, 1, '', 0)
			ON CONFLICT (owner) DO UPDATE SET
				sealed_key = excluded.sealed_key, sealed = excluded.sealed, expires = excluded.expires,
				refreshed_at = excluded.refreshed_at, scopes = excluded.scopes,
				generation = tokens.generation + 1, holder = '', until = 0
			RETURNING `+tokenColumns,
			t.Owner, t.Pair.KeyID, t.Pair.Text, micros(t.Expires), micros(orNow(t.RefreshedAt)), t.Scopes))
		return err
	})
	if err != nil {
		return Token{}, fmt.Errorf("keep the token of %s: %w", t.Owner, err)
	}
	return kept, nil
}

// LeaseToken asks for the exclusive right to refresh a token for so long. It is given only if the token's generation
// is still the one named and no other's lease is alive; a holder that asks again prolongs its own, so a holder names one
// refresh, not a process. The token is returned as it is, whether the lease was given or not; it is zero when the owner
// has none.
//
// PostgreSQL judges by its own clock, so that machines need not agree on the time; with SQLite all processes are on
// one machine and its clock counts.
func (s *Store) LeaseToken(ctx context.Context, owner, holder string, generation int64, life time.Duration) (Token, bool, error) {
	if err := named(owner, holder); err != nil {
		return Token{}, false, fmt.Errorf("lease a token: %w", err)
	}
	var t Token
	var given bool
	err := s.inTx(ctx, func(tx *sql.Tx) (err error) {
		// One statement on both databases: PostgreSQL locks the row, and judges the condition again once it has the lock.
		q := query{}
		now := s.now(&q) // asked for inside the transaction: on SQLite it may have waited for its beginning
		q.WriteString("UPDATE tokens SET holder = " + q.arg(holder) + ", until = " + now + " + " + q.arg(life.Microseconds()))
		q.WriteString(" WHERE owner = " + q.arg(owner) + " AND generation = " + q.arg(generation) + " AND " + heldToken)
		q.WriteString(" AND (holder = '' OR holder = " + q.arg(holder) + " OR until <= " + now + ") RETURNING " + tokenColumns)
		t, given, err = one(tx.QueryRowContext(ctx, q.String(), q.args...), scanToken)
		if err != nil || given {
			return err
		}
		t, _, err = one(tx.QueryRowContext(ctx,
			`SELECT `+tokenColumns+` FROM tokens WHERE owner = $1 AND `+heldToken, owner), scanToken)
		return err
	})
	if err != nil {
		return Token{}, false, fmt.Errorf("lease the token of %s: %w", owner, err)
	}
	return t, given, nil
}

// now is the present in microseconds as an expression of a statement.
func (s *Store) now(q *query) string {
	if s.dialect == postgres { // not now(), which is the beginning of the transaction, before it waited for a lock
		return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
	}
	return q.arg(micros(time.Now()))
}

// ReplaceToken keeps the pair that a refresh brought and ends the lease. t.Generation is the generation that was
// refreshed, and holder who refreshed it; the error is ErrChanged when either is no longer the row's. A lease that has
// run out but that nobody took is still good: the pair is the only one that works now.
func (s *Store) ReplaceToken(ctx context.Context, t Token, holder string) (Token, error) {
	if err := t.check(); err != nil {
		return Token{}, fmt.Errorf("replace a token: %w", err)
	}
	if err := named(holder); err != nil {
		return Token{}, fmt.Errorf("replace a token: %w", err)
	}
	var kept Token
	err := s.inTx(ctx, func(tx *sql.Tx) (err error) {
		kept, err = changed(tx.QueryRowContext(ctx, `
			UPDATE tokens SET sealed_key = $4, sealed = $5, expires = $6, refreshed_at = $7, scopes = $8,
				generation = generation + 1, holder = '', until = 0
			WHERE owner = $1 AND generation = $2 AND holder = $3
			RETURNING `+tokenColumns,
			t.Owner, t.Generation, holder, t.Pair.KeyID, t.Pair.Text, micros(t.Expires), micros(orNow(t.RefreshedAt)), t.Scopes), scanToken)
		return err
	})
	if err != nil {
		return Token{}, fmt.Errorf("replace the token of %s: %w", t.Owner, err)
	}
	return kept, nil
}

// ReleaseToken ends a holder's lease, when a refresh brought nothing. A lease that another has is left alone.
func (s *Store) ReleaseToken(ctx context.Context, owner, holder string) error {
	_, err := s.write.ExecContext(ctx, `UPDATE tokens SET holder = '', until = 0 WHERE owner = $1 AND holder = $2`, owner, holder)
	if err != nil {
		return fmt.Errorf("release the token of %s: %w", owner, err)
	}
	return nil
}

// DeleteToken deletes an owner's token and ends its lease. An owner that has none is no error.
func (s *Store) DeleteToken(ctx context.Context, owner string) error {
	if err := s.inTx(ctx, func(tx *sql.Tx) error { return forgetToken(ctx, tx, owner) }); err != nil {
		return fmt.Errorf("delete the token of %s: %w", owner, err)
	}
	return nil
}

func forgetToken(ctx context.Context, tx *sql.Tx, owner string) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE tokens SET sealed_key = '', sealed = '', scopes = '', expires = 0, refreshed_at = 0,
			generation = generation + 1, holder = '', until = 0
		WHERE owner = $1 AND `+heldToken, owner)
	return err
}

func (t Token) check() error {
	if err := named(t.Owner, t.Pair.Text); err != nil {
		return err
	}
	return t.Pair.check()
}

func orNow(t time.Time) time.Time {
	if t.IsZero() {
		return time.Now()
	}
	return t
}

func scanToken(row scanner) (Token, error) {
	var t Token
	var expires, refreshed, until int64
	err := row.Scan(&t.Owner, &t.Pair.KeyID, &t.Pair.Text, &expires, &refreshed, &t.Scopes, &t.Generation, &t.Holder, &until)
	t.Expires, t.RefreshedAt, t.Until = fromMicros(expires), fromMicros(refreshed), fromMicros(until)
	return t, err
}
