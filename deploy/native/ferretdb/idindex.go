package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite"
)

// FerretDB 1.24 indexes _id by one SQL expression and looks it up by another, which SQLite cannot
// know to be the same: every look-up by _id, and so every update, reads the whole collection. This
// is the index that its look-ups want.
const (
	idLookup  = `_ferretdb_sjson->'$._id'`
	idIndex   = "flexi_id_"
	lookEvery = 2 * time.Second
)

// keepIDIndexes gives every collection the index, those too that are made later, until ctx ends.
func keepIDIndexes(ctx context.Context, state string, logger *slog.Logger) {
	for {
		files, _ := filepath.Glob(filepath.Join(state, "*.sqlite"))
		for _, file := range files {
			if err := indexFile(ctx, file); err != nil && ctx.Err() == nil {
				logger.Warn("no index on _id yet", "file", file, "reason", err.Error())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
	}
}

func indexFile(ctx context.Context, file string) error {
	uri := "file:" + strings.ReplaceAll(file, " ", "%20") + "?_pragma=busy_timeout(10000)"
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		return err
	}
	defer db.Close()
	tables, err := collections(ctx, db)
	if err != nil {
		return err
	}
	for _, table := range tables {
		create := fmt.Sprintf("CREATE INDEX IF NOT EXISTS %q ON %q (%s)", idIndex+table, table, idLookup)
		if _, err := db.ExecContext(ctx, create); err != nil {
			return err
		}
	}
	return nil
}

// collections are the tables that hold documents and have no index of ours.
func collections(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT t.name FROM sqlite_schema t
		JOIN pragma_table_info(t.name) c ON c.name = '_ferretdb_sjson'
		WHERE t.type = 'table' AND substr(t.name, 1, 9) <> '_ferretdb'
		AND NOT EXISTS (SELECT 1 FROM sqlite_schema i WHERE i.type = 'index' AND i.name = ? || t.name)`, idIndex)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	return tables, rows.Err()
}
