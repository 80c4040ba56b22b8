/* Starts the parts of the page. */
"use strict";

uso.startMatrix();
uso.startGallery();
