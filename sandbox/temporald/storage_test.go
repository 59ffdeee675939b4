package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	persistencespb "go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/schema"
)

// preparedFile makes a database of one store, runs the statements on it and returns its path and its schema.
func preparedFile(t *testing.T, store string, statements ...string) (path, ddl string) {
	t.Helper()
	text, err := fs.ReadFile(schema.Assets(), schemaFiles[store])
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "temporal.db")
	require.NoError(t, prepareFile(t.Context(), path, string(text)))
	execute(t, path, statements...)
	return path, string(text)
}

func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := openExclusively(path)
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
}

func TestMissingTablesAndIndexesAreCreated(t *testing.T) {
	for store, statements := range map[string][]string{
		mainStore:       {"DROP TABLE current_chasm_executions", "DROP TABLE tasks_v2"},
		visibilityStore: {"DROP INDEX by_workflow_id", "DROP TRIGGER executions_visibility_au", "DROP TABLE executions_visibility_fts_text"},
	} {
		t.Run(store, func(t *testing.T) {
			path, ddl := preparedFile(t, store, statements...)
			require.NoError(t, prepareFile(t.Context(), path, ddl))

			want, err := referenceSchema(t.Context(), ddl)
			require.NoError(t, err)
			db, err := openExclusively(path)
			require.NoError(t, err)
			defer func() { require.NoError(t, db.Close()) }()
			have, err := readSchema(t.Context(), db)
			require.NoError(t, err)
			require.ElementsMatch(t, want.objects, have.objects)
			require.Equal(t, want.columns, have.columns)
		})
	}
}

func TestPreparingTwiceKeepsTheData(t *testing.T) {
	path, ddl := preparedFile(t, mainStore, "UPDATE namespace_metadata SET notification_version = 42")
	require.NoError(t, prepareFile(t.Context(), path, ddl))
	db, err := openExclusively(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var version int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT notification_version FROM namespace_metadata").Scan(&version))
	require.Equal(t, 42, version)
}

func TestFilesOfOthersAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ statement, want string }{
		"older columns": {"ALTER TABLE tasks_v2 DROP COLUMN data_encoding", "the columns of its table tasks_v2"},
		"newer columns": {"ALTER TABLE shards ADD COLUMN lease INT", "the columns of its table shards"},
		"other tables":  {"CREATE TABLE executions_visibility (run_id TEXT)", "does not know"},
	} {
		t.Run(name, func(t *testing.T) {
			path, ddl := preparedFile(t, mainStore, test.statement)
			err := prepareFile(t.Context(), path, ddl)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "move the file away")
		})
	}
	t.Run("no database at all", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "notes.txt")
		require.NoError(t, os.WriteFile(path, []byte("this is a text of more than a hundred bytes, so that it can't be taken for the header of a database file"), 0o600))
		require.Error(t, prepareFile(t.Context(), path, "CREATE TABLE t (a INT)"))
	})
}

func TestSearchAttributesTakeFreeColumns(t *testing.T) {
	keyword := enumspb.INDEXED_VALUE_TYPE_KEYWORD
	conf := &persistencespb.NamespaceConfig{CustomSearchAttributeAliases: map[string]string{"Keyword01": "Tenant", "Keyword03": "Kind"}}
	o := options{searchAttributes: map[string]enumspb.IndexedValueType{"Tenant": keyword, "State": keyword, "Order": keyword, "N": enumspb.INDEXED_VALUE_TYPE_INT}}
	for range 2 { // the second time changes nothing
		require.NoError(t, o.configure(conf))
		require.Equal(t, map[string]string{
			"Keyword01": "Tenant", "Keyword02": "Order", "Keyword03": "Kind", "Keyword04": "State", "Int01": "N",
		}, conf.CustomSearchAttributeAliases)
	}

	o.searchAttributes = map[string]enumspb.IndexedValueType{"Tenant": enumspb.INDEXED_VALUE_TYPE_INT}
	require.ErrorContains(t, o.configure(conf), "can't become a Int")

	o.searchAttributes = map[string]enumspb.IndexedValueType{}
	for _, name := range []string{"A", "B", "C", "D"} {
		o.searchAttributes[name] = enumspb.INDEXED_VALUE_TYPE_BOOL
	}
	require.ErrorContains(t, o.configure(conf), "all columns of type Bool are in use")
}
