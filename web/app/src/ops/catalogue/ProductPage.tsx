import type { Product } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { useApi } from "../shell/api.tsx";
import { Dialog } from "../shell/Dialog.tsx";
import { Failure, Page } from "../shell/Page.tsx";
import { type Draft, draftOf, emptyDraft, FIELDS, inputOf } from "./draft.ts";
import { ProductForm } from "./ProductForm.tsx";

/** One product to be edited, or a new one. */
export function ProductPage() {
  const { sku } = useParams();
  return sku === undefined ? <NewProduct /> : <EditProduct key={sku} sku={sku} />;
}

function NewProduct() {
  const { catalog } = useApi();
  const [, go] = useLocation();
  const create = useMutation({
    mutationFn: (d: Draft) => catalog.createProduct({ product: inputOf(d), initialStock: BigInt(d.initialStock) }),
    onSuccess: ({ product }) => go(`/catalogue/${product?.sku}`),
  });
  return (
    <Page title="New product" actions={<Link href="/catalogue">Catalogue</Link>}>
      <ProductForm start={emptyDraft} isNew busy={create.isPending} error={create.error} onSave={create.mutate} />
    </Page>
  );
}

function EditProduct({ sku }: { sku: string }) {
  const { catalog, session } = useApi();
  const client = useQueryClient();
  const read = useQuery({
    queryKey: ["product", sku],
    queryFn: ({ signal }) => catalog.getProduct({ sku }, { signal }),
  });
  const [archiving, setArchiving] = useState(false);
  const saved = () => client.invalidateQueries({ queryKey: ["product", sku] });
  const save = useMutation({
    mutationFn: (d: Draft) => catalog.updateProduct({ product: inputOf(d), updateMask: { paths: FIELDS } }),
    onSuccess: saved,
  });
  const product = read.data?.product;
  return (
    <Page
      title={product?.name ?? sku}
      actions={
        <>
          <Link href="/catalogue">Catalogue</Link>
          <a href={`/product/${encodeURIComponent(sku)}`}>In the shop</a>
          {session.canChange && product && (
            <button type="button" onClick={() => setArchiving(true)}>
              {product.archived ? "Sell again …" : "Archive …"}
            </button>
          )}
        </>
      }
    >
      {read.error && <Failure error={read.error} retry={() => void read.refetch()} />}
      {product?.archived && <p className="notice warn">It is archived: it is not listed, found or sold.</p>}
      {save.isSuccess && (
        <p className="notice good" role="status">
          Saved.
        </p>
      )}
      {product && (
        <ProductForm
          start={draftOf(product)}
          readOnly={!session.canChange}
          busy={save.isPending}
          error={save.error}
          onSave={save.mutate}
        />
      )}
      {archiving && product && (
        <ArchiveDialog
          product={product}
          onClose={() => setArchiving(false)}
          onDone={() => {
            setArchiving(false);
            void saved();
          }}
        />
      )}
    </Page>
  );
}

function ArchiveDialog({ product: p, onClose, onDone }: { product: Product; onClose: () => void; onDone: () => void }) {
  const { catalog } = useApi();
  const change = useMutation({
    mutationFn: () =>
      catalog.updateProduct({ product: { sku: p.sku, archived: !p.archived }, updateMask: { paths: ["archived"] } }),
    onSuccess: onDone,
  });
  return (
    <Dialog
      title={p.archived ? `Sell ${p.sku} again?` : `Archive ${p.sku}?`}
      action={p.archived ? "Sell again" : "Archive"}
      danger={!p.archived}
      busy={change.isPending}
      error={change.error}
      onSubmit={() => change.mutate()}
      onClose={onClose}
    >
      <p>
        {p.archived
          ? "It is listed, found and sold again, with the stock that it has."
          : "It is no longer listed, found or ordered. Orders keep what they bought, and its stock stays. Nothing is deleted."}
      </p>
    </Dialog>
  );
}
