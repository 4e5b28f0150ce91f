/** Stylesheets are Vite's to put in place. */
declare module "*.css";
