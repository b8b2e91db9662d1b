// What an application sees of presence.js. The build makes dist/presence.d.ts of it.

import type { FeedStatus, Key, LiveBase, LiveErrorLike, Stop } from "../types.ts";

/** What somebody does at a place: an object of at most 1 KiB of JSON. The names are conventions, and others may stand beside them. */
export interface State {
  state?: "viewing" | "editing" | "idle" | "typing" | (string & {});
  /** The field that is being edited. */
  field?: string;
  [name: string]: unknown;
}

/** One tab of a person at one place. Frozen, and the same object until it changes. */
export interface Meta {
  readonly member: string;
  /** The key of the object, or the name of the channel. */
  readonly on: string;
  readonly state: State;
  /** The tab is not looked at. */
  readonly away: boolean;
  /** When it came, as RFC 3339 writes it. */
  readonly since: string;
  /** The fencing token of the lock, if it holds that; else "". */
  readonly lock: string;
  /** It asks for the lock. */
  readonly wants: boolean;
}

/** Somebody who is there, with each of his tabs. Frozen, and the same object until something of it changes. */
export interface Person {
  readonly id: string;
  readonly name: string;
  /** What the application says of him: a colour, a picture. */
  readonly info: any;
  /** One of the tabs is this one: it is the user himself. */
  readonly me: boolean;
  /** In the order in which they came. */
  readonly metas: readonly Meta[];
}

export interface PresenceOptions {
  /** What is said of this tab at first. Default: viewing. */
  state?: State;
  /** Only look, and do not be there. Several objects are always only looked at. */
  look?: boolean;
  /** Only the first so many tabs, by when they came: for places with thousands. The count counts all. */
  limit?: number;
  /** The name of the router that package presence registered, "presence" by default. */
  name?: string;
}

/** Who is at a place, or at several. */
export interface Presence {
  /** Frozen, and the same array until something of it changes. Those who were there first come first. */
  readonly people: readonly Person[];
  readonly status: FeedStatus;
  /** How many persons are there: exact, also where there are more than people holds. */
  readonly count: number;
  /** Whether there may be more tabs than those that are known, because of a limit. */
  readonly hasMore: boolean;
  /** This tab's name among the metas; undefined if it only looks. */
  readonly member: string | undefined;
  /** What this tab says of itself. */
  readonly state: State;
  /** Those at one of several objects. */
  at(key: Key): readonly Person[];
  /** Calls f at once with what is known, and then whenever people, count or the status changed. */
  subscribe(f: (people: readonly Person[], status: FeedStatus) => void): Stop;
  /** Says something else of this tab. What equals the present state is not sent. Throws a TypeError if it is no object or too large. */
  set(state: State): void;
  /** Looks at other objects from now on. Who is at one that stays is known meanwhile. */
  look(keys: readonly Key[]): void;
  more(n?: number): Promise<void>;
  /** Is no longer there and no longer looks, at once and for good. */
  leave(): void;
}

/** Is at an object and looks at who else is. With several keys: only looks. */
export declare function presence(live: LiveBase, router: string, key: Key | readonly Key[], options?: PresenceOptions): Presence;

/** Is on a channel. */
export declare function presence(live: LiveBase, place: { channel: string } | { router: string; key: Key }, options?: PresenceOptions): Presence;

/** A piece of the difference of two texts: in both of them, or in one alone. */
export interface Piece {
  is: "both" | "theirs" | "mine";
  text: string;
}

/** A field that this user changed, and somebody else too. */
export interface Conflict {
  readonly field: string;
  /** How the form calls it. */
  readonly label: string;
  /** The value from which both began, where it is known; what the row has now; and what the form shows now. */
  readonly base: unknown;
  readonly theirs: unknown;
  readonly mine: unknown;
  /** The version that has theirs, and what the application says of who made it. */
  readonly version: number | string | undefined;
  readonly by: unknown;
  /** Word by word; made when it is asked for. */
  readonly difference: readonly Piece[];
}

/** Somebody saved: `own` if it was this form. */
export interface Saved {
  readonly version: number | string | undefined;
  readonly by: unknown;
  /** The names of the row's fields that are others now. */
  readonly changed: readonly string[];
  readonly own: boolean;
}

/** What is to be saved, for an application that saves in its own way. */
export interface Save {
  readonly key: string;
  readonly version: number | undefined;
  /** The fields that the user changed. */
  readonly data: Record<string, unknown>;
  /** What these fields were when he did, or what he decided to write over. */
  readonly base: Record<string, unknown>;
  /** The fencing token of the lock, if he has it. */
  readonly lock: string | undefined;
}

export type Gone = "deleted" | "forbidden";

export interface EditingOptions {
  /** Without one only presence is shown, and others' saves are told. */
  form?: HTMLFormElement | undefined;
  /** The names of the controls that are fields of the row. Default: all but those that are hidden, passwords, files and buttons. */
  fields?: readonly string[];
  /** The field that is the router's key, by which the row is followed. Default "id". */
  keyField?: string;
  /** Values of fields whose type the control does not tell: of a text that the user entered. */
  parse?: Record<string, (text: string) => unknown>;
  /** Milliseconds without input after which somebody who has begun to edit is idle. Default 60 000. */
  idleAfter?: number;
  /** Ask for the lock with the first change, and let nobody type who cannot have it. */
  lock?: boolean;
  /** What the button says that writes over others' changes. Default "Save anyway". */
  anyway?: string;
  /** Leave the form's submit event to the application, which then calls save. */
  submit?: boolean;
  /** Saves instead of the router's verb update; resolves with the row of the answer, as live.call does. */
  save?: (save: Save) => Promise<object | undefined>;
  /** The name of the router that package presence registered, "presence" by default. */
  name?: string;
  onPeople?: (people: readonly Person[], status: FeedStatus) => void;
  /** Anything of it changed: state, fields, conflicts, lock. */
  onChange?: (editing: Editing) => void;
  onSaved?: (saved: Saved) => void;
  /** There are conflicts, or others than before; none when all are decided. */
  onConflict?: (conflicts: readonly Conflict[]) => void;
  /** The row is deleted, or this user may not see it any more. The form stays as it is; text is what it holds. */
  onGone?: (reason: Gone, text: string) => void;
  /** A save that was started by the form's submit was refused, for another reason than a conflict or that the row is gone. */
  onError?: (error: LiveErrorLike) => void;
}

/** A form on a row that others may edit, too. */
export interface Editing {
  readonly state: "viewing" | "editing" | "idle" | "gone";
  /** Who is at the row, with this tab. */
  readonly presence: Presence;
  /** The row as it was told last; undefined until it is known. */
  readonly row: Readonly<Record<string, unknown>> | undefined;
  readonly version: number | string | undefined;
  /** The names of the fields that the user changed and that are not saved. */
  readonly dirty: readonly string[];
  readonly conflicts: readonly Conflict[];
  readonly saving: boolean;
  /** What the form holds, as text for people. */
  readonly text: string;
  /** Who has the lock; and its fencing token if that is this tab. */
  readonly holder: Person | undefined;
  readonly token: string | undefined;
  /**
   * Saves what the user changed, with the values from which he began: what others did to other fields stays. Resolves with the row as it is then, or with
   * undefined if nothing is to be saved. Rejects with the server's LiveError, and while there are conflicts with an error of code "conflict".
   */
  save(): Promise<object | undefined>;
  /** Decides all conflicts for what the form shows, and saves. What nobody has shown to the user is not written over: it is a conflict again. */
  saveAnyway(): Promise<object | undefined>;
  /** Decides one conflict: for what the form shows, or for what the row has. */
  keep(field: string): void;
  take(field: string): void;
  /** Drops what the user changed: the form shows the row. */
  discard(): void;
  /** Copies the text; resolves with whether the browser let it. */
  copy(): Promise<boolean>;
  /** A button that does that, and says so. */
  copyButton(label?: string, done?: string): HTMLButtonElement;
  /** The lock: take it, give it back, ask who has it for it, hand it to another member, take it from who has it. Refused: code "locked". */
  lock(): Promise<string>;
  unlock(): Promise<void>;
  request(): Promise<void>;
  handOver(member: string): Promise<void>;
  takeOver(): Promise<string>;
  /** Leaves the row and lets go of the form, as it is. */
  close(): void;
}

export declare function editing(live: LiveBase, router: string, key: Key, options?: EditingOptions): Editing;

export interface EditorsOptions {
  /** The name of the element. Default "live-editors". */
  tag?: string;
  /** The name of the router that package presence registered, "presence" by default. */
  name?: string;
  /** How many names are shown. Default 4. */
  most?: number;
  /** What stands behind a name. Default: " (editing)", " (typing)" or " (away)". */
  says?: (person: Person) => string;
  /** What stands behind the names for those that are not shown. Default "and 2 more". */
  more?: (n: number) => string;
}

/**
 * Defines the element <live-editors router="articles" key="7">, which shows the names of the others who are at an object. Each is a span of class
 * live-person with data-state, data-lock where he has the lock, and the colour that his info has as --live-color; with nobody there the element has
 * data-empty.
 */
export declare function editors(live: LiveBase, options?: EditorsOptions): void;

/** What somebody does, of what his tabs do: editing, typing, viewing or idle; away if none of his tabs is looked at. */
export declare function doing(person: Person): string;
