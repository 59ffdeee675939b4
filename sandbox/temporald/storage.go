package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.temporal.io/server/schema"
	_ "modernc.org/sqlite" // registers the driver that the server's plugin uses, too
)

// schemaFiles are the server's own schema definitions, one for each of our databases.
var schemaFiles = map[string]string{
	mainStore:       "sqlite/v3/temporal/schema.sql",
	visibilityStore: "sqlite/v3/visibility/schema.sql",
}

// schemaObject is a table, index or trigger with the statement that makes it.
type schemaObject struct {
	kind, name, ddl string
}

// prepareFiles creates the two database files, or brings those of an older server up to this one's schema. In memory
// mode the server's plugin does that by itself.
func (o options) prepareFiles(ctx context.Context) error {
	if o.dbFile == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(o.dbFile)); err != nil || !info.IsDir() {
		return fmt.Errorf("the folder of --db-filename %s does not exist; create it first", o.dbFile)
	}
	for _, store := range []string{mainStore, visibilityStore} {
		path := o.databasePath(store)
		ddl, err := fs.ReadFile(schema.Assets(), schemaFiles[store])
		if err != nil {
			return fmt.Errorf("read the built-in schema: %w", err)
		}
		if err := prepareFile(ctx, path, string(ddl)); err != nil {
			return fmt.Errorf("database file %s: %w", path, err)
		}
	}
	return nil
}

// prepareFile runs in one transaction: a process killed in the middle leaves the file as it was.
func prepareFile(ctx context.Context, path, ddl string) error {
	want, err := referenceSchema(ctx, ddl)
	if err != nil {
		return err
	}
	db, err := openExclusively(path)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		if strings.Contains(err.Error(), "SQLITE_BUSY") {
			return errors.New("another process has it open; stop that server first, or use another file")
		}
		return err
	}
	defer func() { _ = tx.Rollback() }()

	have, err := readSchema(ctx, tx)
	if err != nil {
		return err
	}
	if len(have.objects) == 0 {
		if _, err := tx.ExecContext(ctx, ddl); err != nil {
			return fmt.Errorf("create the schema: %w", err)
		}
		return tx.Commit()
	}
	missing, err := have.missingFrom(want)
	if err != nil {
		return err
	}
	for _, object := range missing {
		if _, err := tx.ExecContext(ctx, object.ddl); err != nil {
			return fmt.Errorf("create the missing %s %s: %w", object.kind, object.name, err)
		}
	}
	return tx.Commit()
}

func openExclusively(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+escapePath(path)+
		"?mode=rwc&_txlock=immediate&_pragma=journal_mode(wal)&_pragma=locking_mode(exclusive)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// escapePath makes a path safe inside an SQLite URI.
func escapePath(path string) string {
	return (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
}

// databaseSchema is what a database holds: its objects in the order of their creation, and its tables' columns.
type databaseSchema struct {
	objects []schemaObject
	columns map[string][]string
}

// referenceSchema is what this server's definition gives in an empty database.
func referenceSchema(ctx context.Context, ddl string) (databaseSchema, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return databaseSchema{}, err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // a second connection would see another, empty database
	if _, err := db.ExecContext(ctx, ddl); err != nil {
		return databaseSchema{}, fmt.Errorf("run the built-in schema: %w", err)
	}
	return readSchema(ctx, db)
}

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// readSchema leaves out what SQLite keeps by itself: its own tables and the shadow tables of full-text indexes.
func readSchema(ctx context.Context, db queryer) (databaseSchema, error) {
	found := databaseSchema{columns: map[string][]string{}}
	rows, err := db.QueryContext(ctx, `SELECT type, name, sql FROM sqlite_master
		WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
		AND name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow') ORDER BY rowid`)
	if err != nil {
		return found, fmt.Errorf("read the schema: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var object schemaObject
		if err := rows.Scan(&object.kind, &object.name, &object.ddl); err != nil {
			return found, fmt.Errorf("read the schema: %w", err)
		}
		found.objects = append(found.objects, object)
	}
	if err := rows.Err(); err != nil {
		return found, fmt.Errorf("read the schema: %w", err)
	}
	for _, object := range found.objects {
		if object.kind != "table" {
			continue
		}
		if found.columns[object.name], err = readColumns(ctx, db, object.name); err != nil {
			return found, err
		}
	}
	return found, nil
}

func readColumns(ctx context.Context, db queryer, table string) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM pragma_table_xinfo(?) ORDER BY name`, table)
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", table, err)
	}
	defer func() { _ = rows.Close() }()
	var columns []string
	for rows.Next() {
		var column string
		if err := rows.Scan(&column); err != nil {
			return nil, fmt.Errorf("read the columns of %s: %w", table, err)
		}
		columns = append(columns, column)
	}
	return columns, rows.Err()
}

// missingFrom lists what has to be created so that s becomes want. It refuses what creating can't mend: a table whose
// columns differ, and tables that this server does not know, which a newer server or another tool made.
func (s databaseSchema) missingFrom(want databaseSchema) ([]schemaObject, error) {
	const advice = "use the server that wrote it, or move the file away to start afresh"
	for table, columns := range s.columns {
		wanted, known := want.columns[table]
		switch {
		case !known:
			return nil, fmt.Errorf("it has a table %s that this server (%s) does not know: a newer server or another program wrote it; %s",
				table, version(), advice)
		case !slices.Equal(columns, wanted):
			return nil, fmt.Errorf("the columns of its table %s are not those of this server (%s): another version wrote it; %s",
				table, version(), advice)
		}
	}
	var missing []schemaObject
	for _, object := range want.objects {
		if !slices.ContainsFunc(s.objects, func(o schemaObject) bool { return o.kind == object.kind && o.name == object.name }) {
			missing = append(missing, object)
		}
	}
	return missing, nil
}
