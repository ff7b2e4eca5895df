import type { ComponentType } from "react";
import { Flow } from "./flow/Flow.tsx";

/** The pages of the console, by their paths after /ops. */
export const ROUTES: { path: string; page: ComponentType }[] = [{ path: "/", page: Flow }];

/** The pages that the header names. */
export const NAVIGATION: { path: string; name: string }[] = [{ path: "/", name: "Flow" }];
