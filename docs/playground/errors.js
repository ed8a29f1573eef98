// Errors whose message is a plain sentence for the visitor. All others are faults of the page.

export class VisitorError extends Error {}

// Returns the error of a file of the page that the server does not give.
export function cannotFetch(path) {
  const name = path.split("/").pop().split("?")[0];
  return new VisitorError(`The file ${name} of this page cannot be fetched. Reload the page.`);
}

// Returns the error of a file with several pictures, which the classifier refuses too.
export function animated() {
  return new VisitorError("This picture is animated. Choose one without animation.");
}
