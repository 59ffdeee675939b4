package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Sealed is a value that the store keeps without being able to read it.
type Sealed struct {
	// KeyID is the id of the key that sealed it.
	KeyID string
	// Text is the sealed value, as secret.Ring.SealText makes it.
	Text string
}

// IsZero tells that there is no value.
func (v Sealed) IsZero() bool { return v == Sealed{} }

// String names the key and leaves the value out: even sealed it has no place in a log.
func (v Sealed) String() string {
	if v.IsZero() {
		return "nothing sealed"
	}
	return "sealed with " + v.KeyID
}

// LogValue is String for slog.
func (v Sealed) LogValue() slog.Value { return slog.StringValue(v.String()) }

var errHalfSealed = errors.New("a sealed value has no key, or a key no sealed value")

func (v Sealed) check() error {
	if (v.KeyID == "") != (v.Text == "") {
		return errHalfSealed
	}
	return nil
}

// TokenPurpose is what the pair of an owner's Token is sealed for.
func TokenPurpose(owner string) string { return "token/" + owner }

// SettingsPurpose is what a Connection's Settings are sealed for.
func SettingsPurpose(location string) string { return "settings/" + location }

// PlannedPurpose is what the request of a PlannedWrite is sealed for.
func PlannedPurpose(digest string) string { return "planned/" + digest }

// ErrKeyDiffers says that a key has the id of a key that the store knows, and is another. Whatever that one sealed could
// not be opened: give the new key an id of its own.
var ErrKeyDiffers = errors.New("the key is not the one that this id stood for so far: give a new key a new id in SECRET_KEYS")

// ErrKeyInUse says that a key seals, or that values sealed with it are left.
var ErrKeyInUse = errors.New("the key is still in use: run starter keys rotate first")

// SealingKey is what is known of a key. It is nothing that helps to find it.
type SealingKey struct {
	ID string
	// Check tells two keys of one id apart, as secret.Ring.Check makes it.
	Check string
	// Since is when it first sealed; Until when another took over, zero while it seals.
	Since, Until time.Time
}

// UseKey records that a key seals from now on, and that the others no longer do. The error is ErrKeyDiffers when the id
// is known with another check; then nothing is recorded.
func (s *Store) UseKey(ctx context.Context, id, check string) error {
	if err := named(id, check); err != nil {
		return fmt.Errorf("record a sealing key: %w", err)
	}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.lockKeys(ctx, tx); err != nil {
			return err
		}
		now := micros(time.Now())
		// A key that takes over again keeps the time it first sealed.
		result, err := tx.ExecContext(ctx, `
			INSERT INTO sealing_keys (id, key_check, since, until) VALUES ($1, $2, $3, 0)
			ON CONFLICT (id) DO UPDATE SET until = 0 WHERE sealing_keys.key_check = excluded.key_check`, id, check, now)
		if err != nil {
			return err
		}
		if errors.Is(unchanged(result), ErrChanged) {
			return ErrKeyDiffers
		}
		_, err = tx.ExecContext(ctx, `UPDATE sealing_keys SET until = $2 WHERE id <> $1 AND until = 0`, id, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("record the sealing key %s: %w", id, err)
	}
	return nil
}

// lockKeys lets one transaction at a time change the keys. SQLite does that for every writing transaction.
func (s *Store) lockKeys(ctx context.Context, tx *sql.Tx) error {
	if s.dialect != postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, `LOCK TABLE sealing_keys IN SHARE ROW EXCLUSIVE MODE`)
	return err
}

// SealingKeys lists the keys that ever sealed here and were not forgotten, in the order in which they first did.
func (s *Store) SealingKeys(ctx context.Context) ([]SealingKey, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, key_check, since, until FROM sealing_keys ORDER BY since, id`)
	if err != nil {
		return nil, fmt.Errorf("list the sealing keys: %w", err)
	}
	return collect(rows, func(row scanner) (SealingKey, error) {
		var k SealingKey
		var since, until int64
		err := row.Scan(&k.ID, &k.Check, &since, &until)
		k.Since, k.Until = fromMicros(since), fromMicros(until)
		return k, err
	})
}

// ForgetKey forgets a key that no longer seals and whose every value was sealed anew; else the error is ErrKeyInUse. A
// key that is not known is no error.
func (s *Store) ForgetKey(ctx context.Context, id string) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.lockKeys(ctx, tx); err != nil {
			return err
		}
		var uses int64
		err := tx.QueryRowContext(ctx, `
			SELECT (SELECT COUNT(*) FROM sealing_keys WHERE id = $1 AND until = 0) +
				(SELECT COUNT(*) FROM (`+sealedValues+`) v WHERE v.sealed_key = $1)`, id).Scan(&uses)
		if err != nil {
			return err
		}
		if uses > 0 {
			return ErrKeyInUse
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM sealing_keys WHERE id = $1`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget the key %s: %w", id, err)
	}
	return nil
}
