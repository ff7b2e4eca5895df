// Command generate writes the code of package ent from ent/schema. `go generate ./ent` runs it in ent/.
package main

import (
	"fmt"
	"os"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

// features are those that package store or ent/migrate/new uses: upsert for inserts that leave what is there, execquery for the drain's and the
// audit's statements, modifier for the sums of an order's refunds, lock for SELECT ... FOR UPDATE, versioned-migration for new migrations.
var features = []gen.Feature{gen.FeatureUpsert, gen.FeatureExecQuery, gen.FeatureModifier, gen.FeatureLock, gen.FeatureVersionedMigration}

func main() {
	config := &gen.Config{Features: features, Hooks: []gen.Hook{clientWithoutMutate, clientWithoutMigrate}, Templates: []*gen.Template{runtimeTemplate()}}
	if err := entc.Generate("./schema", config); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// clientWithoutMigrate generates everything, and then all but package migrate once more, which gives a client that does not import it. Only
// ent/migrate/new plans migrations; in the shop's program that would be 5 MB of HCL and its expression language.
func clientWithoutMigrate(next gen.Generator) gen.Generator {
	return gen.GenerateFunc(func(g *gen.Graph) error {
		if err := next.Generate(g); err != nil {
			return err
		}
		storage := *g.Storage
		storage.SchemaMode &^= gen.Migrate
		g.Storage = &storage
		return next.Generate(g)
	})
}
