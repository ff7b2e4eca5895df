import { Component, type ReactNode } from "react";
import { translate as t } from "../i18n/index.js";

/** Shows an error of a page, instead of an empty one, with a way on: a chunk that was not loaded, or a defect. */
export class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <div className="notice bad" role="alert">
        <p>{t("pageFailed")}</p>
        <button type="button" onClick={() => location.reload()}>
          {t("reload")}
        </button>
      </div>
    );
  }
}
