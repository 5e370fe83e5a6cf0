/** Addresses of footage. */

/** A picture; with its version it may be kept for ever. */
export function address(clip: string, n: number, camera: number, version: string): string {
  return `/api/clips/${clip}/frames/${n}.jpg?camera=${camera}&version=${encodeURIComponent(version)}`;
}

export function film(clip: string, camera: number): string {
  return `/api/clips/${clip}/video.mp4?camera=${camera}`;
}

export function sheet(clip: string, camera: number): string {
  return `/api/clips/${clip}/sheet.jpg?camera=${camera}`;
}
