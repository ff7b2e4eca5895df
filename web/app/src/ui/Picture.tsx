import { useState } from "react";

/** A product's picture. Its name stands beside it, so that it has no text of its own. */
export function Picture({ src, large }: { src: string; large?: boolean }) {
  const [failed, setFailed] = useState(false);
  const size = large ? 480 : 240;
  return (
    <img
      className="picture"
      src={failed || !src ? "/static/img/products/none.svg" : src}
      alt=""
      width={size}
      height={size}
      loading={large ? "eager" : "lazy"}
      onError={() => setFailed(true)}
    />
  );
}
