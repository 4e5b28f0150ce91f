import { flow } from "mayfly";
import { page } from "../page.ts";

/** The form. */
export default flow(() =>
  page(
    `<form method="post" enctype="multipart/form-data">
       <label>Prices, as a CSV file <input type="file" name="file" accept=".csv,text/csv" required></label>
       <button>Upload</button>
     </form>`,
  ),
);
