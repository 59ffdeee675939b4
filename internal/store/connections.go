package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrChanged says that somebody changed the row in between, so that nothing was written. Read it again, and decide anew.
var ErrChanged = errors.New("the record was changed in between: read it again")

// ConnectionState is what a connection may do now.
type ConnectionState string

// The states of a connection.
const (
	// Pending is installed, but not told to work yet.
	Pending ConnectionState = "pending"
	// Active works.
	Active ConnectionState = "active"
	// Paused was stopped by an operator, and goes on when one says so.
	Paused ConnectionState = "paused"
	// Reconnect has had its credentials refused, which only a person can mend. Its work waits.
	Reconnect ConnectionState = "reconnect"
	// Leaving is being taken down: its schedules go first, then its secrets.
	Leaving ConnectionState = "leaving"
	// Retired is gone, and holds no secrets. The row stays for those who ask later.
	Retired ConnectionState = "retired"
)

// Access is how a location's API is reached.
type Access string

// The ways to reach a location's API.
const (
	// ByPrivateToken uses a token that a person made in HighLevel (a private integration).
	ByPrivateToken Access = "private"
	// ByOAuth uses the location's own pair of access and refresh token.
	ByOAuth Access = "oauth"
	// ByAgency uses location tokens that are made with the agency's token.
	ByAgency Access = "agency"
)

// The Sage tenant of a connection.
const (
	// SageUndecided is a connection whose tenant nobody has named yet.
	SageUndecided = ""
	// SageOfEnvironment is the tenant of the processes' SAGE_* variables.
	SageOfEnvironment = "environment"
	// SageOfItsOwn is the tenant of the connection's own settings.
	SageOfItsOwn = "own"
)

// Connection is a HighLevel location with the Sage tenant its orders go to, its settings and its state.
type Connection struct {
	// Location is HighLevel's id of the location and the connection's key.
	Location string
	// Name is the location's name as HighLevel shows it; Company HighLevel's id of its agency. Both may be empty.
	Name, Company string
	Access        Access
	State         ConnectionState
	// Note says in a sentence why the connection is in its state. It holds nothing secret or personal.
	Note string
	// Sage is SageUndecided, SageOfEnvironment or SageOfItsOwn.
	Sage string
	// Settings are those of this location alone, sealed for SettingsPurpose(Location); zero if there are none.
	Settings Sealed
	// ConnectedAt is when it was last connected; StateAt since when it is in its state.
	ConnectedAt, StateAt time.Time
	// Told tells whether the operator was told of the present state. MarkTold sets it and a change of state unsets it.
	Told bool
	// Version grows with each change. SaveConnection compares it.
	Version int64
	// Settled is the version that schedules and all else outside the store have followed.
	Settled int64
}

// check refuses what no reader could make sense of.
func (c Connection) check() error {
	if err := named(c.Location); err != nil {
		return err
	}
	if !slices.Contains([]ConnectionState{Pending, Active, Paused, Reconnect, Leaving, Retired}, c.State) {
		return fmt.Errorf("there is no state %q", c.State)
	}
	if !slices.Contains([]Access{ByPrivateToken, ByOAuth, ByAgency}, c.Access) {
		return fmt.Errorf("there is no access %q", c.Access)
	}
	if !slices.Contains([]string{SageUndecided, SageOfEnvironment, SageOfItsOwn}, c.Sage) {
		return fmt.Errorf("there is no Sage tenant %q", c.Sage)
	}
	return c.Settings.check()
}

const connectionColumns = `location, name, company, access, state, note, sage, sealed_key, sealed, connected_at, state_at, told, version, settled`

// Connection returns the connection of a location, in whatever state, and false when there never was one.
func (s *Store) Connection(ctx context.Context, location string) (Connection, bool, error) {
	row := s.read.QueryRowContext(ctx, `SELECT `+connectionColumns+` FROM connections WHERE location = $1`, location)
	c, found, err := one(row, scanConnection)
	if err != nil {
		return Connection{}, false, fmt.Errorf("read the connection of %s: %w", location, err)
	}
	return c, found, nil
}

// ConnectionFilter chooses connections. Empty fields choose everything.
type ConnectionFilter struct {
	State   ConnectionState
	Company string
	// Unsettled chooses those whose last change has not been followed yet.
	Unsettled bool
	Page
}

// Connections lists connections, first connected first, and returns the next page's token, empty after the last page.
func (s *Store) Connections(ctx context.Context, f ConnectionFilter) ([]Connection, string, error) {
	key, err := f.key(2)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := q.equal("state", string(f.State), "company", f.Company)
	if f.Unsettled {
		conditions = append(conditions, "settled < version")
	}
	if key != nil {
		conditions = append(conditions, "(connected_at, location) > "+q.list(key...))
	}
	q.WriteString("SELECT " + connectionColumns + " FROM connections")
	q.where(conditions)
	q.WriteString(" ORDER BY connected_at, location LIMIT " + q.arg(f.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list the connections: %w", err)
	}
	return paged(rows, f.limit(), scanConnection, func(c Connection) string { return pageToken(c.ConnectedAt, c.Location) })
}

// SaveConnection writes a connection and returns it as kept, with its new version. A c.Version of 0 makes the row,
// which must not exist; any other must be the row's. Else nothing is written and the error is ErrChanged.
//
// When the state changes, StateAt becomes now and Told false; when it does not, both stay as they are kept, whatever c
// holds. A zero ConnectedAt of a new row becomes now. Settled is never written here. Saving a connection as Retired also
// deletes its settings and its token, so that no retired row holds a secret, whoever retires it.
func (s *Store) SaveConnection(ctx context.Context, c Connection) (Connection, error) {
	if err := c.check(); err != nil {
		return Connection{}, fmt.Errorf("save a connection: %w", err)
	}
	if c.State == Retired {
		c.Settings = Sealed{}
	}
	var saved Connection
	err := s.inTx(ctx, func(tx *sql.Tx) (err error) {
		now := time.Now()
		if c.Version == 0 {
			saved, err = insertConnection(ctx, tx, c, now)
		} else {
			saved, err = updateConnection(ctx, tx, c, now)
		}
		if err == nil && c.State == Retired {
			err = forgetToken(ctx, tx, TokenOfLocation(c.Location))
		}
		return err
	})
	if err != nil {
		return Connection{}, fmt.Errorf("save the connection of %s: %w", c.Location, err)
	}
	return saved, nil
}

func insertConnection(ctx context.Context, tx *sql.Tx, c Connection, now time.Time) (Connection, error) {
	if c.ConnectedAt.IsZero() {
		c.ConnectedAt = now
	}
	return changed(tx.QueryRowContext(ctx, `
		INSERT INTO connections (`+connectionColumns+`, state_version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, FALSE, 1, 0, 1)
		ON CONFLICT (location) DO NOTHING
		RETURNING `+connectionColumns,
		c.Location, c.Name, c.Company, c.Access, c.State, c.Note, c.Sage, c.Settings.KeyID, c.Settings.Text,
		micros(c.ConnectedAt), micros(now)), scanConnection)
}

func updateConnection(ctx context.Context, tx *sql.Tx, c Connection, now time.Time) (Connection, error) {
	return changed(tx.QueryRowContext(ctx, `
		UPDATE connections SET
			name = $3, company = $4, access = $5, note = $7, sage = $8, sealed_key = $9, sealed = $10, connected_at = $11,
			state_at = CASE WHEN state = $6 THEN state_at ELSE $12 END,
			told = CASE WHEN state = $6 THEN told ELSE FALSE END,
			state_version = CASE WHEN state = $6 THEN state_version ELSE version + 1 END,
			state = $6, version = version + 1
		WHERE location = $1 AND version = $2
		RETURNING `+connectionColumns,
		c.Location, c.Version, c.Name, c.Company, c.Access, c.State, c.Note, c.Sage, c.Settings.KeyID, c.Settings.Text,
		micros(c.ConnectedAt), micros(now)), scanConnection)
}

// changed reads the row that a conditional change returned, and ErrChanged when its condition did not hold.
func changed[T any](row *sql.Row, scan func(scanner) (T, error)) (T, error) {
	item, found, err := one(row, scan)
	if err == nil && !found {
		err = ErrChanged
	}
	return item, err
}

// SettleConnection records that schedules and all else have followed the connection up to a version. It never goes
// back, and a connection that does not exist is no error.
func (s *Store) SettleConnection(ctx context.Context, location string, version int64) error {
	_, err := s.write.ExecContext(ctx,
		`UPDATE connections SET settled = $2 WHERE location = $1 AND settled < $2 AND version >= $2`, location, version)
	if err != nil {
		return fmt.Errorf("settle the connection of %s: %w", location, err)
	}
	return nil
}

// MarkTold records that the operator was told of the state that the connection had at a version. It does not raise the
// version. The error is ErrChanged when the state was changed since: then there is something new to tell.
func (s *Store) MarkTold(ctx context.Context, location string, version int64) error {
	result, err := s.write.ExecContext(ctx,
		`UPDATE connections SET told = TRUE WHERE location = $1 AND state_version <= $2 AND version >= $2`, location, version)
	if err == nil {
		err = unchanged(result)
	}
	if err != nil {
		return fmt.Errorf("mark the operator as told of the connection of %s: %w", location, err)
	}
	return nil
}

// unchanged is ErrChanged when a conditional change met no row.
func unchanged(result sql.Result) error {
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return err
}

// ForgetConnection deletes the token and the settings of a location and leaves the rest of the row. Where there were
// settings the version grows, so that whoever read them before cannot write them back: read the connection again before
// saving it. A location that holds none, or is not known, is no error.
func (s *Store) ForgetConnection(ctx context.Context, location string) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := forgetToken(ctx, tx, TokenOfLocation(location)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			UPDATE connections SET sealed_key = '', sealed = '', version = version + 1,
				settled = CASE WHEN settled = version THEN settled + 1 ELSE settled END
			WHERE location = $1 AND sealed <> ''`, location)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget the secrets of %s: %w", location, err)
	}
	return nil
}

func scanConnection(row scanner) (Connection, error) {
	var c Connection
	var connected, since int64
	err := row.Scan(&c.Location, &c.Name, &c.Company, &c.Access, &c.State, &c.Note, &c.Sage, &c.Settings.KeyID, &c.Settings.Text,
		&connected, &since, &c.Told, &c.Version, &c.Settled)
	c.ConnectedAt, c.StateAt = fromMicros(connected), fromMicros(since)
	return c, err
}
