/* Starts the page's parts. */
"use strict";

uso.startMatrix();
uso.startGallery();
