/** Packages that come without types. */
declare module "url/";
