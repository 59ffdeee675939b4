package main

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	persistencespb "go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence/serialization"
	"go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/common/searchattribute/sadefs"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// prepareNamespaces creates the namespaces that do not exist yet and gives all of them the search attributes and the
// retention asked for. It writes to the database before the server starts, so that the first request already finds
// them; through the API both become visible only some time later.
func (o options) prepareNamespaces(ctx context.Context, conf *config.SQL) error {
	for name := range o.searchAttributes {
		if sadefs.IsSystem(name) || sadefs.IsReserved(name) {
			return fmt.Errorf("search attribute %q: the name is one of Temporal's own, choose another", name)
		}
	}
	db, err := sql.NewSQLDB(sqlplugin.DbKindMain, conf, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer func() { _ = db.Close() }()
	for _, name := range o.namespaces {
		if err := o.prepareNamespace(ctx, db, conf, name); err != nil {
			return fmt.Errorf("namespace %s: %w", name, err)
		}
	}
	return nil
}

func (o options) prepareNamespace(ctx context.Context, db sqlplugin.DB, conf *config.SQL, name string) error {
	rows, err := db.SelectFromNamespace(ctx, sqlplugin.NamespaceFilter{Name: &name})
	if errors.Is(err, stdsql.ErrNoRows) {
		fresh, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, nil)
		if err != nil {
			return err
		}
		if err := o.configure(fresh.Detail.Config); err != nil {
			return err
		}
		return sqliteschema.CreateNamespaces(conf, fresh)
	}
	if err != nil {
		return err
	}
	row, codec := rows[0], serialization.NewSerializer()
	encoding, err := enumspb.EncodingTypeFromString(row.DataEncoding)
	if err != nil {
		return err
	}
	detail, err := codec.NamespaceDetailFromBlob(&commonpb.DataBlob{EncodingType: encoding, Data: row.Data})
	if err != nil {
		return err
	}
	if err := o.configure(detail.Config); err != nil {
		return err
	}
	blob, err := codec.NamespaceDetailToBlob(detail)
	if err != nil {
		return err
	}
	row.Data, row.DataEncoding = blob.Data, blob.EncodingType.String()
	_, err = db.UpdateNamespace(ctx, &row)
	return err
}

// configure sets the retention and adds the search attributes that are not there yet. SQL visibility has a fixed set
// of columns of each type; a custom attribute is an alias of one of them.
func (o options) configure(conf *persistencespb.NamespaceConfig) error {
	conf.Retention = durationpb.New(o.retention)
	if conf.CustomSearchAttributeAliases == nil {
		conf.CustomSearchAttributeAliases = map[string]string{}
	}
	aliases := conf.CustomSearchAttributeAliases
	columns := sadefs.GetDBIndexSearchAttributes(nil).CustomSearchAttributes
	taken := make(map[string]string, len(aliases))
	for column, name := range aliases {
		taken[name] = column
	}
	for _, name := range slices.Sorted(maps.Keys(o.searchAttributes)) {
		kind := o.searchAttributes[name]
		if column, exists := taken[name]; exists {
			if columns[column] != kind {
				return fmt.Errorf("search attribute %s is a %s there and can't become a %s; choose another name",
					name, columns[column], kind)
			}
			continue
		}
		column, found := freeColumn(columns, aliases, kind)
		if !found {
			return fmt.Errorf("search attribute %s: all columns of type %s are in use", name, kind)
		}
		aliases[column] = name
	}
	return nil
}

func freeColumn(columns map[string]enumspb.IndexedValueType, used map[string]string, kind enumspb.IndexedValueType) (string, bool) {
	for _, column := range slices.Sorted(maps.Keys(columns)) {
		if _, busy := used[column]; !busy && columns[column] == kind {
			return column, true
		}
	}
	return "", false
}
