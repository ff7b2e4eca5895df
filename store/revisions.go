package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
)

// revisions remembers in a table which migrations were applied. It is Atlas' RevisionReadWriter.
type revisions struct{ conn migrationConn }

var _ migrate.RevisionReadWriter = (*revisions)(nil)

const revisionsTable = "schema_revisions"

// create makes the table if it is missing.
func (r *revisions) create(ctx context.Context) error {
	_, err := r.conn.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+revisionsTable+` (
		version varchar(64) NOT NULL PRIMARY KEY, description varchar(255) NOT NULL, type bigint NOT NULL,
		applied bigint NOT NULL, total bigint NOT NULL, executed_at bigint NOT NULL, execution_ns bigint NOT NULL,
		error text NOT NULL, error_stmt text NOT NULL, hash varchar(255) NOT NULL, partial_hashes text NOT NULL,
		operator_version varchar(255) NOT NULL)`)
	if err != nil {
		return fmt.Errorf("create %s: %w", revisionsTable, translate(err))
	}
	return nil
}

// Ident names the table, so that Atlas leaves it out of what it compares.
func (*revisions) Ident() *migrate.TableIdent { return &migrate.TableIdent{Name: revisionsTable} }

const revisionColumns = "version, description, type, applied, total, executed_at, execution_ns, error, error_stmt, hash, partial_hashes, operator_version"

// ReadRevisions reads all, in the order of their versions.
func (r *revisions) ReadRevisions(ctx context.Context) ([]*migrate.Revision, error) {
	rows, err := r.conn.QueryContext(ctx, "SELECT "+revisionColumns+" FROM "+revisionsTable+" ORDER BY version")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*migrate.Revision
	for rows.Next() {
		rev, err := scanRevision(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, rev)
	}
	return out, rows.Err()
}

func scanRevision(s scanner) (*migrate.Revision, error) {
	var rev migrate.Revision
	var at int64
	var partial string
	err := s.Scan(&rev.Version, &rev.Description, &rev.Type, &rev.Applied, &rev.Total, &at, &rev.ExecutionTime,
		&rev.Error, &rev.ErrorStmt, &rev.Hash, &partial, &rev.OperatorVersion)
	if err != nil {
		return nil, err
	}
	rev.ExecutedAt = time.UnixMicro(at).UTC()
	return &rev, json.Unmarshal([]byte(partial), &rev.PartialHashes)
}

// ReadRevision reads one; migrate.ErrRevisionNotExist when it was not applied.
func (r *revisions) ReadRevision(ctx context.Context, version string) (*migrate.Revision, error) {
	rev, err := scanRevision(r.conn.QueryRowContext(ctx, "SELECT "+revisionColumns+" FROM "+revisionsTable+" WHERE version = ?", version))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, migrate.ErrRevisionNotExist
	}
	return rev, err
}

// WriteRevision writes or replaces one.
func (r *revisions) WriteRevision(ctx context.Context, rev *migrate.Revision) error {
	partial, err := json.Marshal(rev.PartialHashes)
	if err != nil {
		return err
	}
	_, err = r.conn.ExecContext(ctx, "REPLACE INTO "+revisionsTable+" ("+revisionColumns+") VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
		rev.Version, rev.Description, rev.Type, rev.Applied, rev.Total, rev.ExecutedAt.UnixMicro(), rev.ExecutionTime,
		rev.Error, rev.ErrorStmt, rev.Hash, string(partial), rev.OperatorVersion)
	return err
}

// DeleteRevision removes one.
func (r *revisions) DeleteRevision(ctx context.Context, version string) error {
	_, err := r.conn.ExecContext(ctx, "DELETE FROM "+revisionsTable+" WHERE version = ?", version)
	return err
}

// isNoTable reports that the table of revisions does not exist.
func isNoTable(err error) bool {
	return mysqlCode(err) == mysqlNoTable || (err != nil && strings.Contains(err.Error(), "no such table"))
}
